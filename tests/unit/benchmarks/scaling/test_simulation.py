"""The simulation agrees with what can be worked out by hand: cores, the HTTP process, order and batches."""

import pytest

from benchmarks.scaling.__main__ import predict
from benchmarks.scaling.simulation import Costs, simulate

PASS_MS = 9.0
COSTS = Costs(http=3.0, passes={64: 4.0, 128: PASS_MS})
ONE_WINDOW = [[128]]


def rate(costs: Costs = COSTS, *, cores: int, clients: int = 0) -> float:
    clients = clients or 6 * cores
    return simulate(costs, ONE_WINDOW, cores=cores, clients=clients, answers=4000).questions_per_second


def test_one_client_waits_for_each_part_of_its_own_question() -> None:
    outcome = simulate(COSTS, ONE_WINDOW, cores=4, clients=1, answers=100)
    assert outcome.mean_ms == pytest.approx(3 + PASS_MS)
    assert outcome.questions_per_second == pytest.approx(1000 / 12)


@pytest.mark.parametrize("cores", [1, 2, 3])
def test_while_the_http_process_has_time_left_all_cores_are_used(cores: int) -> None:
    """A question takes 12 ms of CPU time. The HTTP process can do 333 a second, and takes its time from the lanes."""
    assert rate(cores=cores) == pytest.approx(cores * 1000 / 12, rel=0.01)


@pytest.mark.parametrize("cores", [8, 32])
def test_with_many_cores_one_http_process_is_the_limit(cores: int) -> None:
    outcome = simulate(COSTS, ONE_WINDOW, cores=cores, clients=6 * cores, answers=4000)
    assert outcome.questions_per_second == pytest.approx(1000 / 3, rel=0.01)
    assert outcome.http_share == pytest.approx(1, abs=0.01)
    assert outcome.lanes_share == pytest.approx(PASS_MS / 3 / cores, rel=0.02)


def test_unfinished_questions_of_many_clients_hardly_change_a_prediction() -> None:
    assert predict(COSTS, ONE_WINDOW, cores=96).questions_per_second == pytest.approx(1000 / 3, rel=0.006)


def test_a_load_generator_on_the_same_cores_takes_its_time_from_the_lanes() -> None:
    with_generator = Costs(COSTS.http, COSTS.passes, generator=2.0)
    assert rate(with_generator, cores=1) == pytest.approx(1000 / 14, rel=0.01)
    assert rate(with_generator, cores=2) == pytest.approx(2000 / 14, rel=0.01)


def test_windows_of_one_question_run_on_all_cores() -> None:
    outcome = simulate(Costs(0.001, {128: PASS_MS}), [[128] * 4], cores=4, clients=1, answers=50)
    assert outcome.mean_ms == pytest.approx(PASS_MS, rel=0.01)


def test_a_question_costs_what_its_own_rungs_cost() -> None:
    costs = Costs(0.001, COSTS.passes)
    outcome = simulate(costs, [[64], [128, 128]], cores=1, clients=8, answers=4000)
    assert outcome.questions_per_second == pytest.approx(2000 / (4 + 2 * PASS_MS), rel=0.01)


def test_waiting_windows_share_a_call_if_there_is_a_batch_for_them() -> None:
    batched = Costs(0.001, {128: PASS_MS}, batches={(128, 4): 18.0})
    assert rate(batched, cores=1, clients=32) == pytest.approx(4000 / 18, rel=0.01)
    assert rate(batched, cores=1, clients=1) == pytest.approx(1000 / PASS_MS, rel=0.01)  # nothing waits


@pytest.mark.parametrize(("questions", "cores"), [([], 1), ([[128], []], 1), (ONE_WINDOW, 0)])
def test_refuses_a_simulation_of_nothing(questions: list[list[int]], cores: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        simulate(COSTS, questions, cores=cores, clients=1, answers=1)
