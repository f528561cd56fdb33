#!/bin/sh
# From a fresh Debian 12 machine to a running `labkit`: sh labkit/bootstrap.sh VERB [OPTIONS]
#
# Finds Python 3.11 or newer, keeps a virtual environment, installs labkit into it when
# pyproject.toml has changed, then becomes `labkit VERB [OPTIONS]`. Repeating it costs nothing.
# A package that is missing is installed after asking; --yes agrees; where that is not possible
# the exact command is printed, and the exit status is 5.
#
#   LABKIT_VENV     where the environment is      (default: .venv beside pyproject.toml)
#   LABKIT_PYTHON   the Python to make it with    (default: Debian's, else the first that fits)
#   LABKIT_EXTRAS   optional dependencies as well (such as: dev)
set -eu

NOT_POSSIBLE=5
home=$(cd "$(dirname "$0")/.." && pwd)
extras=${LABKIT_EXTRAS:-}
# JupyterLab is large, and only the lessons need it.
if [ "${1:-}" = lab ] && [ -z "$extras" ]; then extras=notebook; fi

say() { printf '%s\n' "$*" >&2; }

# Debian's own Python first: the nodes run it, and run bytecode that it has compiled at once.
find_python() {
    for python in ${LABKIT_PYTHON:-/usr/bin/python3 python3 python3.13 python3.12 python3.11}; do
        if "$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' \
            >/dev/null 2>&1; then
            printf '%s' "$python"
            return
        fi
    done
    return 1
}

agreed() {
    for word in "$@"; do
        case $word in -y | --yes) return 0 ;; --) break ;; esac
    done
    [ -t 0 ] || return 1
    printf 'Go on? [y/N]: ' >&2
    read -r answer
    [ "$answer" = y ] || [ "$answer" = Y ]
}

install_python() {
    become_root=
    if [ "$(id -u)" != 0 ]; then
        become_root=sudo
        if sudo -n true 2>/dev/null; then become_root='sudo -n'; fi
    fi
    command="${become_root:+sudo }apt-get update && ${become_root:+sudo }apt-get install -y python3 python3-venv"
    say 'labkit needs Python 3.11 or newer with its venv module: the packages python3, python3-venv.'
    if ! command -v apt-get >/dev/null || { [ "$become_root" = sudo ] && ! [ -t 0 ]; } ||
        ! agreed "$@"; then
        say "try: $command"
        exit $NOT_POSSIBLE
    fi
    $become_root apt-get update >&2
    $become_root apt-get install -y --no-install-recommends python3 python3-venv >&2
}

# What is installed depends on pyproject.toml alone; the stamp remembers which one that was.
wanted=$(cksum <"$home/pyproject.toml")
is_current() { [ -x "$1/bin/labkit" ] && grep -qxF "$wanted [$extras]" "$1/labkit.stamp" 2>/dev/null; }

choose_venv() {
    if [ -n "${LABKIT_VENV:-}" ]; then
        printf '%s' "$LABKIT_VENV"
    elif is_current "$home/.venv" || [ -w "$home" ]; then
        printf '%s' "$home/.venv"
    else
        printf '%s' "${XDG_DATA_HOME:-$HOME/.local/share}/labkit/venv"
    fi
}

install_labkit() {
    if ! python=$(find_python); then
        install_python "$@"
        python=$(find_python) || {
            say 'there is no Python 3.11 or newer here; Debian 12 and later have one'
            exit $NOT_POSSIBLE
        }
    fi
    say "installing labkit into $venv (only now, and when pyproject.toml changes)"
    "$venv/bin/python" -c 'import pip' 2>/dev/null || "$python" -m venv --clear "$venv" >&2
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        --editable "$home${extras:+[$extras]}" >&2
    # Compiled now, no command has to do it: a fifth of each, where PYTHONDONTWRITEBYTECODE is
    # set. A clone that belongs to somebody else stays as it is.
    "$venv/bin/python" -m compileall -q "$home/labkit" >/dev/null 2>&1 || :
    printf '%s\n' "$wanted []" "$wanted [$extras]" >"$venv/labkit.stamp"
    say "to type just \`labkit\` from now on: export PATH=\"$venv/bin:\$PATH\""
}

venv=$(choose_venv)
is_current "$venv" || install_labkit "$@"
exec "$venv/bin/labkit" "$@"
