"""Probes that fail write few lines."""

from serve.api.telemetry.quiet_paths import QuietPaths


def test_a_probed_path_writes_one_line_for_each_status_and_other_paths_write_all() -> None:
    quiet = QuietPaths(["/ping", "/metrics"])
    assert [quiet.allow("/ping", 405) for _ in range(3)] == [True, False, False]
    assert [quiet.allow("/ping", 401) for _ in range(3)] == [True, False, False]
    assert quiet.allow("/metrics", 405)
    assert all(quiet.allow("/invocations", 405) for _ in range(3))
    assert all(quiet.allow(f"/ping{number}", 404) for number in range(3))
