"""What a run says of its time."""

from tinyse.training.checkpoint import Progress
from tinyse.training.logbook import Clock, pace


def test_a_run_of_one_step_has_no_pace():
    """The first step is compiled, and its time is none of training's."""
    progress = Progress(step=1)
    Clock(4000).step(0.5, progress)
    assert pace(4000, progress) == {"seconds": 0.0, "frames_per_s": 0, "waiting_share": 0.0}
    found = pace(4000, Progress(step=1, seconds=2.0, waited_s=0.5))
    assert found == {"seconds": 2.0, "frames_per_s": 2000, "waiting_share": 0.25}
