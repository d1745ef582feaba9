# SPDX-License-Identifier: Apache-2.0
"""The calls by which a program changed files, as strace saw them."""
import re
import subprocess

TRACED = ("open,openat,creat,write,pwrite64,writev,pwritev,pwritev2,copy_file_range,sendfile,ioctl,"
          "fallocate,ftruncate,truncate,rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,"
          "mkdirat,rmdir,symlink,symlinkat,fsync,fdatasync,sync,syncfs,lseek,dup,dup2,dup3,fcntl,fchmod,"
          "chmod,fchmodat,chdir,fchdir,mmap")
WHOLE = re.compile(r"(\d+) +(\w+)\((.*)\) += (-?\d+|0x[0-9a-f]+|\?).*")
BEGUN = re.compile(r"(\d+) +(\w+)\((.*) <unfinished \.\.\.>")
ENDED = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>(.*)")


def strings(text):
    """The quoted strings of a call's arguments; strace -xx writes every byte as \\xNN."""
    return [bytes.fromhex(part.replace("\\x", "")) for part in re.findall(r'"((?:\\x[0-9a-f]{2})*)"', text)]


class Call:
    def __init__(self, name, text, result):
        self.name, self.text, self.result = name, text, result
        self.arguments = split(text)

    def number(self, index):
        return int(self.arguments[index], 0)

    def path(self, index):
        return strings(self.arguments[index])[0].decode("utf-8", "surrogateescape")

    def folder(self, index):
        """The descriptor that a path starts at; None for the current folder."""
        argument = self.arguments[index]
        return None if argument == "AT_FDCWD" else int(argument)

    def has(self, flag):
        return re.search(rf"\b{flag}\b", self.text) is not None


def split(text):
    """Arguments at the outermost level: hex strings hold no comma, structures and arrays do."""
    parts, depth, start = [], 0, 0
    for at, letter in enumerate(text):
        if letter in "[{":
            depth += 1
        elif letter in "]}":
            depth -= 1
        elif letter == "," and depth == 0:
            parts.append(text[start:at].strip())
            start = at + 1
    return parts + [text[start:].strip()] if text else []


def parse(lines):
    """Successful calls in the order in which they ended, of all threads."""
    begun = {}
    for line in lines:
        if match := BEGUN.fullmatch(line):
            begun[match[1]] = (match[2], match[3])
            continue
        if match := ENDED.fullmatch(line):
            name, text = begun.pop(match[1])
            line = f"{match[1]} {name}({text}{match[3]}"
        match = WHOLE.fullmatch(line)
        if match and match[4] != "?" and int(match[4], 0) >= 0:
            yield Call(match[2], match[3], int(match[4], 0))


def record(command, folder, environment, trace):
    """Runs `command` in `folder` and returns its exit code and its calls."""
    done = subprocess.run(["strace", "-f", "-qq", "-xx", "-s", str(1 << 24), "-o", str(trace), "-e",
                           "trace=" + TRACED, "-e", "signal=none", *command],
                          cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done, list(parse(trace.read_text().splitlines()))
