"""The HTTP process's side of the template, which has loaded the tokenizer and forks the text processes."""

import contextlib
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import orjson

from serve.processes.child import Activity, Lifeline, activity_of
from serve.qa.highlight.task import TaskDefaults
from serve.qa.model_limits import ModelLimits

PROGRAM_DIR = Path(__file__).parents[2]
FORK, PING = b"f", b"p"  # one byte to the template; the template answers each with one byte
ACKS_BYTES = 4096


@dataclass(frozen=True)
class TextConfig:
    """What a text process must know."""

    tokenizer_file: str
    limits: ModelLimits
    max_items: int
    max_characters: int
    tasks: TaskDefaults

    @classmethod
    def from_json(cls, text: str) -> "TextConfig":
        """Read what `orjson.dumps` has written."""
        fields = orjson.loads(text)
        return cls(**{**fields, "limits": ModelLimits(**fields["limits"]), "tasks": TaskDefaults(**fields["tasks"])})


class Template:
    """Starts the template and lets it fork. The heartbeat watches it (serve.processes.heartbeat.Watched).

    Each request whose text process it has forked must refer to this object, which holds their lifeline.
    """

    def __init__(self, config: TextConfig) -> None:
        """Start the process. It loads the tokenizer first, and the first text process waits for this."""
        self._control, theirs = socket.socketpair()
        self._control.setblocking(False)
        self._lifeline = Lifeline()
        descriptors = (theirs.fileno(), self._lifeline.reading_end)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "serve.text_worker", *map(str, descriptors), orjson.dumps(config).decode()],
                pass_fds=descriptors,
                cwd=PROGRAM_DIR,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the HTTP process; the template ends when its socket closes
            )
        self._lifeline.tie(self._process.pid)
        self.pid = self._process.pid
        self._owed = 0  # the number of bytes that have not been answered
        self._has_pinged = False

    @property
    def is_alive(self) -> bool:
        """Whether the process is running."""
        return self._process.poll() is None

    def fork(self) -> socket.socket:
        """Let the template fork a text process; return this side of its socket.

        Raises: OSError if the template has ended or does not read.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(self._control, [FORK], [theirs.fileno()])
            except OSError:
                ours.close()
                raise
        self._owed += 1
        ours.setblocking(False)
        return ours

    def close(self) -> None:
        """End the template. The text processes that it has forked go on."""
        self._control.close()
        self.kill()
        self._process.wait()

    def close_all(self) -> None:
        """End the template and all text processes that it has forked."""
        self._lifeline.cut()
        self.close()

    # The heartbeat calls these.

    @property
    def owes_answer(self) -> bool:
        """Whether a fork or a ping has not been answered."""
        with contextlib.suppress(OSError):
            while acks := self._control.recv(ACKS_BYTES):
                self._owed -= len(acks)
                self._has_pinged = False  # a ping is sent only if nothing is owed, so its answer is the first
        return self._owed > 0

    @property
    def owes_pong(self) -> bool:
        """Whether a ping has not been answered."""
        return self.owes_answer and self._has_pinged

    def activity(self) -> Activity:
        """Read what the process does."""
        return activity_of(self.pid)

    def ping(self) -> None:
        """Ask the idle template for a sign of life."""
        with contextlib.suppress(OSError):  # it has ended; the next large request gets a new one
            self._control.send(PING)
            self._owed += 1
            self._has_pinged = True

    def kill(self) -> None:
        """Kill the template, even if it is stopped or hangs. The next large request gets a new one."""
        self._process.kill()
