"""The template of the text processes: it loads the tokenizer once and forks a process for each large request.

serve/text_process/template.py starts `python -m serve.text_worker FD LIFELINE CONFIG` with one end of a socket pair,
and with the reading end of a pipe to which nobody writes. The template ends when the other end of the socket pair
closes. A text process ends with its request, or when the socket of its request closes. When the writing end of the pipe
closes, the kernel kills the template and all text processes.
"""

import gc
import os
import signal
import socket
import sys
import traceback
from pathlib import Path

from container import lifeline
from serve.qa.engine import QuestionAnswerer
from serve.qa.features import Featurizer
from serve.text_process.template import TextConfig
from serve.text_worker.request import TextRequest

ACK = b"a"
NICENESS = 2  # the HTTP process, with niceness 0, and the lanes, with 1, go before the texts of large requests


def main(control_fd: int, lifeline_fd: int, config: TextConfig) -> None:
    """Fork a process for each socket that arrives, until the control socket closes."""
    lifeline.tie_own_group(lifeline_fd)
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel collects the exit statuses
    os.nice(NICENESS)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    answerer = QuestionAnswerer(Featurizer(Path(config.tokenizer_file)), config.limits)
    control = socket.socket(fileno=control_fd)
    while True:
        data, fds, _, _ = socket.recv_fds(control, 1, 1)
        if not data:
            return
        if not fds:  # a ping
            control.send(ACK)
            continue
        gc.freeze()  # a collection in a text process would touch, and so copy, the pages that it shares
        if os.fork():
            os.close(fds[0])
            control.send(ACK)
            continue
        status = 0
        try:
            control.close()
            TextRequest(socket.socket(fileno=fds[0]), answerer, config).serve()
        except (BrokenPipeError, ConnectionResetError):
            pass  # the request has ended
        except BaseException:
            traceback.print_exc()
            status = 1
        finally:
            os._exit(status)  # a text process must not run the template's clean-up


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), TextConfig.from_json(sys.argv[3]))
