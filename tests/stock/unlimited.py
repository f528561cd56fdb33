"""Run a program that raises its limit of open files where nobody may: `unlimited.py PROGRAM ...`.

kube-proxy in userspace mode sets the limit to 64,000 and ends if it cannot: below a lower hard
limit (many containers) that takes CAP_SYS_RESOURCE. The program is not ours to change, so the
kernel is asked to answer that system call with success, and to do nothing (seccomp). Where the
limit is high enough, or may be raised, the program runs as it is.
"""

import ctypes
import os
import resource
import struct
import sys

WANTED = 64_000

_SETRLIMIT, _PRLIMIT64 = 160, 302  # of x86-64, as is the offset of the third argument below
_NEW_LIMIT_LOW, _NEW_LIMIT_HIGH = 32, 36
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _SUCCEED = 0x7FFF0000, 0x00050000  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO with errno 0
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER = 38, 22, 2

#: (code, operand, how many to skip if equal, if not): whatever sets a limit succeeds.
PROGRAM = (
    (_LOAD, 0, 0, 0),
    (_JUMP_IF_EQUAL, _SETRLIMIT, 6, 0),
    (_JUMP_IF_EQUAL, _PRLIMIT64, 0, 4),
    (_LOAD, _NEW_LIMIT_LOW, 0, 0),
    (_JUMP_IF_EQUAL, 0, 0, 3),
    (_LOAD, _NEW_LIMIT_HIGH, 0, 0),
    (_JUMP_IF_EQUAL, 0, 0, 1),
    (_RETURN, _ALLOW, 0, 0),
    (_RETURN, _SUCCEED, 0, 0),
)


def may_raise() -> bool:
    try:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (WANTED, max(WANTED, hard)))
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    except (OSError, ValueError):
        return False
    return True


def pretend() -> None:
    code = b"".join(struct.pack("=HBBI", op, yes, no, value) for op, value, yes, no in PROGRAM)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("@HP", len(PROGRAM), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        _PR_SET_SECCOMP, _FILTER, program
    ):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    if not may_raise():
        pretend()
    os.execvp(sys.argv[1], sys.argv[1:])
