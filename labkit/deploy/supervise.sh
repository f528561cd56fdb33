#!/bin/sh
# Keep one program running on a machine that has no init system to do it.
#
#     supervise.sh NAME PROGRAM ARGUMENT...
#
# When the program ends it is started again: after 0.2 s, then after twice as long each time up to
# 5 s, and after 0.2 s again once it has lived for 10 s. TERM ends the program, and then this; the
# program has all the time it takes, and each TERM more is passed on to it.
#
# /run/labkit/NAME.pid    our pid and when we began (a pid alone may be somebody else's later),
#                         `running` or `restarting`, the same two of the program, restarts so far
# /run/labkit/NAME.lock   is locked as long as we live: whoever awaits our end, locks it
#
# Whoever started us reads fd 3 to its end: it closes when NAME.pid is there.
set -u
name=$1 restarts=0 delay=200 stopping='' waiting=''
shift
cd /run/labkit || exit 1
exec 9>"$name.lock"
flock -n 9 || { echo "$name has a supervisor already" >&3; exit 1; }

began() { { read -r stat <"/proc/$1/stat"; } 2>/dev/null && set -- ${stat##*) } && echo "${20}"; }

say() {
    echo "$$ $(began $$) $1 $child $child_began $restarts" >"$name.pid.new"
    mv -f "$name.pid.new" "$name.pid"
}

seconds() { read -r up _ </proc/uptime && echo "${up%.*}"; }

trap 'stopping=yes; [ -z "$waiting" ] || kill "$waiting" 2>/dev/null' TERM INT HUP

while [ -z "$stopping" ]; do
    "$@" 3>&- 9>&- &
    child=$! waiting=$!
    child_began=$(began "$child") || child_began=0 # it is gone already
    begun=$(seconds)
    say running
    exec 3>&-
    [ -z "$stopping" ] || kill "$child" 2>/dev/null
    wait "$child"
    status=$?
    if [ -n "$stopping" ]; then # a signal ends `wait` before the program ends
        wait "$child"
        break
    fi
    [ $(($(seconds) - begun)) -lt 10 ] || delay=200
    restarts=$((restarts + 1))
    say restarting
    echo "supervise: $name ended with status $status; starting it again in $delay ms" >&2
    sleep "$((delay / 1000)).$(printf %03d $((delay % 1000)))" 9>&- &
    waiting=$!
    [ -z "$stopping" ] || kill "$waiting" 2>/dev/null
    wait "$waiting"
    delay=$((delay * 2))
    [ "$delay" -le 5000 ] || delay=5000
done
rm -f "$name.pid"
