"""A file system of its own that can be full, and whose power can fail."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SHUTDOWN = 0x8004587D
"""EXT4_IOC_SHUTDOWN: from now on nothing reaches the disk."""
_WITHOUT_THE_LOG = struct.pack("I", 2)


def missing() -> str:
    if os.geteuid() != 0:
        return "needs root, to mount a file system"
    if shutil.which("mkfs.ext4") is None:
        return "mkfs.ext4 is not installed"
    probe = subprocess.run(["losetup", "-f"], capture_output=True, text=True, check=False)
    return "" if probe.returncode == 0 else f"no loop device: {probe.stderr.strip()}"


def call(*line: str) -> None:
    subprocess.run(line, check=True, capture_output=True)


class SmallDisk:
    """An ext4 in a file."""

    def __init__(self, directory: Path, megabytes: int) -> None:
        self._below = directory / "disks"
        self.place = self._below / "disk"
        self._image = directory / "disk.img"
        self._below.mkdir()
        # Processes in network namespaces have mounts of their own: theirs must end with ours.
        call("mount", "--bind", str(self._below), str(self._below))
        call("mount", "--make-shared", str(self._below))
        self.place.mkdir()
        with self._image.open("wb") as file:
            file.truncate(megabytes << 20)
        # No room that only root may use.
        call("mkfs.ext4", "-q", "-m", "0", str(self._image))
        self.mount()

    def mount(self) -> None:
        call("mount", "-o", "loop", str(self._image), str(self.place))

    def unmount(self) -> None:
        for _ in range(100):
            done = subprocess.run(["umount", str(self.place)], capture_output=True, check=False)
            if done.returncode == 0:
                return
            time.sleep(0.1)
        raise AssertionError(done.stderr.decode())

    def remove(self) -> None:
        self.end_processes()
        self.unmount()
        call("umount", str(self._below))

    def fail(self) -> None:
        """The power fails: what has not reached the disk by now never will."""
        descriptor = os.open(self.place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, _WITHOUT_THE_LOG)
        finally:
            os.close(descriptor)
        self.end_processes()

    def end_processes(self) -> None:
        """End what works on it: the tests' own processes, and their children."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    line = (entry / "cmdline").read_bytes()
                except OSError:
                    continue
                if f"{self.place}/".encode() in line:
                    os.kill(int(entry.name), signal.SIGKILL)

    def again(self) -> None:
        """The power is back."""
        self.unmount()
        # Whoever has made a mount namespace in the meantime may hold on to what is dead.
        dead, self._image = self._image, self._image.with_suffix(f".{time.monotonic_ns()}")
        shutil.copyfile(dead, self._image)
        dead.unlink()
        self.mount()

    def fill(self) -> Path:
        """Leave no room at all; the file that takes it."""
        filler = self.place / "filler"
        descriptor = os.open(filler, os.O_WRONLY | os.O_CREAT)
        try:
            for size in (1 << 20, 4096, 512):
                try:
                    while True:
                        os.write(descriptor, bytes(size))
                except OSError:
                    continue
        finally:
            os.close(descriptor)
        return filler


@contextmanager
def small_disk(directory: Path, megabytes: int) -> Iterator[SmallDisk]:
    """A disk for as long as the context lasts."""
    disk = SmallDisk(directory, megabytes)
    try:
        yield disk
    finally:
        disk.remove()
