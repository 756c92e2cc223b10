"""The file that the page about training shows can be trained on, and makes as few steps as the page says."""

import json
import re
from pathlib import Path

from tests.docs import pages
from tests.tools.demo_files import CALIBRATION
from tests.tools.training_setup import demo_featurizer
from tools.squad.question_tally import QuestionTally
from tools.train_demo.schedule import all_batches
from tools.train_demo.settings import Phase, TrainingSettings, files_of
from tools.train_demo.training_data import read_training_questions, write_windows

PAGE = pages.DOCS / "training.md"


def test_every_question_of_the_shown_file_is_trained_on(tmp_path: Path) -> None:
    (shown,) = re.findall(r"```json\n(.*?)```", pages.section(PAGE, "The format of a file"), re.DOTALL)
    file, tally = tmp_path / "shown.json", QuestionTally("shown.json")
    file.write_text(shown)
    questions = list(read_training_questions(file, tally))
    assert [each.context[each.start : each.end] for each in questions] == ["Zoë Müller", "1871"]
    assert tally.notes() == []


def test_few_questions_make_few_steps(tmp_path: Path) -> None:
    articles, kept = json.loads(CALIBRATION.read_text())["data"], 0
    for paragraph in (paragraph for article in articles for paragraph in article["paragraphs"]):
        paragraph["qas"] = paragraph["qas"][: 35 - kept]
        kept += len(paragraph["qas"])
    assert kept == 35
    file = tmp_path / "train.json"
    file.write_text(json.dumps({"data": articles}))
    steps = {}
    for times in (1, 40):
        settings = TrainingSettings(phases=(Phase.parse(f"{file}:{times}"),))
        files = files_of(settings.phases)
        windows = write_windows(tmp_path / "windows", files, demo_featurizer(), settings.limits)
        steps[times] = len(all_batches(windows, settings))
    assert steps[1] <= 3
    assert 60 <= steps[40] <= 80
