"""The files of the demo model in the repository."""

from tools.local_server import PROGRAM_DIR

DEMO = PROGRAM_DIR / "models" / "demo"
CALIBRATION = DEMO / "calibration.json"
HELD_OUT = DEMO / "held_out.json"
