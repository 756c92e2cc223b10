"""How logits become scores: a softmax over all candidates, which `evaluate --calibrate` can correct. Pure functions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Calibration:
    """The correction of scores that an artifact holds. It changes no ranking.

    temperature: divides the logits in the softmax; above 0. log_odds_shift: is added to the log odds of the best
    candidate. The softmax counts each span, so it divides what belongs to one answer among the spans that differ from
    it by a word or a comma. No temperature gives this back, but a shift of the log odds does: the odds of the best
    candidate become exp(shift) times as large.
    """

    temperature: float = 1.0
    log_odds_shift: float = 0.0

    @classmethod
    def of(cls, temperature: float, log_odds_shift: float) -> "Calibration | None":
        """Return the calibration with these values; None if they change no score."""
        return None if (temperature, log_odds_shift) == (1, 0) else cls(temperature, log_odds_shift)

    def weight(self, logit: float) -> float:
        """Return what a candidate adds to the sum of the softmax. logit: its logit sum minus the highest one."""
        return math.exp(logit / self.temperature)

    def scores(self, logits: Sequence[float], total: float) -> list[float]:
        """Return the scores of some candidates, 0 to 1, in the order of the logits.

        Their sum is at most 1, up to the rounding of float32.

        logits: logit sums minus the highest one; the first is that of the best candidate, so it is 0.
        total: the sum of the weights of all candidates.
        """
        best, *others = (min(self.weight(logit) / total, 1.0) for logit in logits)
        if self.log_odds_shift == 0:
            return [best, *others]
        odds = best * math.exp(self.log_odds_shift)
        calibrated = odds / (odds + (1 - best))
        # The others share what the best leaves, but never so much that one of them would exceed it.
        share = min(calibrated / best, (1 - calibrated) / (1 - best)) if best < 1 else 1.0
        return [calibrated, *(share * score for score in others)]
