# What labkit does on a machine, in the machine's own words. This text goes before every command
# that looks at a machine's units or changes them; POSIX sh, run as root.
#
# A unit is a program that must run. Where systemd is PID 1 it is the service labkit-NAME; elsewhere
# supervise.sh keeps it. Both write to /var/log/labkit/NAME.log and give the program the variable
# LABKIT_REVISION, so that a running process itself tells which version of everything it started with.
set -u
run=/run/labkit log=/var/log/labkit services=/etc/systemd/system
supervise=/var/lib/labkit/bin/supervise.sh
if [ -d /run/systemd/system ]; then init=systemd; else init=none; fi

# When process $1 began, in ticks since the machine booted. A pid and this name one process for ever.
began() { { read -r stat <"/proc/$1/stat"; } 2>/dev/null && set -- ${stat##*) } && echo "${20}"; }

is_alive() { [ "${1:-0}" -gt 1 ] && [ "$(began "$1")" = "$2" ]; }

revision() { LC_ALL=C sed -n 's/.*LABKIT_REVISION=\([0-9a-f]*\).*/\1/p' "/proc/$1/environ" 2>/dev/null; }

# --- Looking ------------------------------------------------------------------------------------

# look FILE...: the init system, which boot this is, every unit of ours, and each FILE's mode and hash.
look() {
    read -r boot </proc/sys/kernel/random/boot_id
    read -r up _ </proc/uptime
    echo "init $init"
    echo "boot $boot $up"
    look_"$init"
    [ $# -eq 0 ] || { stat -c 'mode %a %n' -- "$@"; sha256sum -- "$@"; } 2>/dev/null
    return 0
}

# unit NAME STATE PID BEGAN RESTARTS REVISION
look_none() {
    for file in "$run"/*.pid; do
        { read -r pid pid_began state child child_began restarts <"$file"; } 2>/dev/null || continue
        name=${file##*/} name=${name%.pid}
        is_alive "$pid" "$pid_began" || state=stopped
        echo "unit $name $state $child $child_began $restarts $(revision "$pid")"
    done
}

# Each word to systemd costs an emulated machine half a second, so all units are one question. Of
# each it says a line for every property, and then an empty one.
look_systemd() {
    set --
    for file in "$services"/labkit-*.service; do [ ! -f "$file" ] || set -- "$@" "${file##*/}"; done
    [ $# -gt 0 ] || return 0
    { systemctl show "$@" -p Id -p ActiveState -p MainPID -p NRestarts && echo; } |
        while IFS='=' read -r property value; do
            case $property in
                Id) name=${value#labkit-} name=${name%.service} ;;
                ActiveState) state=$value ;;
                MainPID) pid=$value ;;
                NRestarts) restarts=$value ;;
                '') say_unit "$name" "$state" "$pid" "$restarts" ;;
            esac
        done
}

say_unit() {
    case $2 in
        active | reloading) state=running ;;
        activating) state=restarting ;;
        *) state=stopped ;;
    esac
    echo "unit $1 $state $3 $(began "$3" || echo 0) $4 $(revision "$3")"
}

# --- Changing -----------------------------------------------------------------------------------

# alone: one labkit at a time changes this machine; the lock goes with this shell.
alone() {
    mkdir -p "$run" "$log"
    exec 8>"$run/lock"
    flock -w 60 8 || { echo "another labkit is changing this machine" >&2; exit 75; }
}

# place FILE...: stdin is a tar archive that holds FILE.labkit-new for each. All of it has to be
# there before the first file takes its name; a full disk or a broken connection changes nothing.
# A service that is new, systemd reads when it first hears of it; one that it has read, it knows.
place() {
    if tar -C / -xpf - --no-same-owner; then
        for file; do
            case $file in "$services"/*) [ ! -e "$file" ] || stale=yes ;; esac
            mv -f "$file.labkit-new" "$file" || exit 1
        done
    else
        for file; do rm -f "$file.labkit-new"; done
        exit 74
    fi
}

# start NAME REVISION PROGRAM ARGUMENT...: where systemd does it, `settle` then tells it all names.
start() {
    [ "$init" = none ] || { units="$units labkit-$1"; return; }
    # One heap for all threads: Python lets them run one at a time anyway.
    name=$1 LABKIT_REVISION=$2 MALLOC_ARENA_MAX=1
    export LABKIT_REVISION MALLOC_ARENA_MAX
    stop "$name"
    shift 2
    [ ! -f "$log/$name.log" ] || [ "$(wc -c <"$log/$name.log")" -lt 8000000 ] ||
        mv -f "$log/$name.log" "$log/$name.log.1"
    # The substitution waits for the end of fd 3, which the supervisor closes when it has begun.
    trouble=$(setsid sh "$supervise" "$name" "$@" 3>&1 8>&- </dev/null >>"$log/$name.log" 2>&1 &)
    [ -z "$trouble" ] || { echo "$trouble" >&2; exit 1; }
}

# settle: after the last change, what systemd must know of all. To read every service anew takes an
# emulated machine three seconds, so that is only asked for where it has read what has changed.
units='' stale=''
settle() {
    # shellcheck disable=SC2086 # one word for each
    [ -z "$units" ] || systemctl enable --quiet --no-reload $units || exit 1
    [ -z "$stale" ] || systemctl daemon-reload || exit 1
    # shellcheck disable=SC2086
    [ -z "$units" ] || systemctl restart $units || exit 1
}

# stop NAME: the supervisor, and the program by it. kube-proxy may let open connections go on for as
# much as 30 s (--drain-timeout); whoever has not ended after 35 s is killed.
patience=35
stop() {
    [ "$init" = none ] || { systemctl disable --quiet --no-reload --now "labkit-$1"; return; }
    { read -r pid pid_began _ child child_began _ <"$run/$1.pid"; } 2>/dev/null || return 0
    if is_alive "$pid" "$pid_began"; then
        kill "$pid"
        flock -w "$patience" "$run/$1.lock" true || {
            { read -r _ _ _ child child_began _ <"$run/$1.pid"; } 2>/dev/null
            ! is_alive "$child" "$child_began" || kill -KILL "$child"
            flock -w 1 "$run/$1.lock" true || kill -KILL "$pid"
        }
    elif is_alive "$child" "$child_began"; then # somebody killed the supervisor alone
        kill "$child"
        timeout "$patience" tail -s 0.05 -f /dev/null --pid "$child" || kill -KILL "$child"
    fi
    rm -f "$run/$1.pid"
}

# remove NAME: stop it and forget how it is started.
remove() {
    stop "$1"
    [ "$init" = none ] || { rm -f "$services/labkit-$1.service"; stale=yes; }
}

# remove_all: nothing of ours stays, neither files nor what our programs made in the kernel.
remove_all() {
    for each in $(look | sed -n 's/^unit \([^ ]*\) .*/\1/p'); do remove "$each"; done
    settle
    for each in kube-proxy podlet; do
        program=/var/lib/labkit/bin/$each.pyz
        [ ! -f "$program" ] || /usr/bin/python3 -I -S "$program" --cleanup >&2 || exit 1
    done
    rm -rf /etc/labkit /var/lib/labkit "$log" "$run"
}
