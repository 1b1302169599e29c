"""Measurements, and what is made of them: medians over rounds, and medians of each round's own ratios.

Only ratios inside one round compare sides with each other: the machine's mood changes all of them alike.
"""
import dataclasses
import math
import statistics


@dataclasses.dataclass
class Verdict:
    """One target beside what was measured. `measured` is None where the run did not measure it."""
    what: str
    target: float
    measured: float
    at_least: bool = False  # else at most
    unit: str = 'x'

    @property
    def met(self):
        if self.measured is None:
            return None
        return self.measured >= self.target if self.at_least else self.measured <= self.target


class Records:
    def __init__(self, entries=()):
        self.entries = list(entries)

    def add(self, section, language, case, side, round_number, errors=0, **numbers):
        self.entries.append({'section': section, 'language': language, 'case': case, 'side': side,
                             'round': round_number, 'errors': errors, 'numbers': numbers})

    def rows(self, section):
        """(language, case, side) in the order in which they were first measured, cases of one language together."""
        keys = dict.fromkeys((e['language'], e['case'], e['side']) for e in self.entries if e['section'] == section)
        pairs = list(dict.fromkeys((language, case) for language, case, _ in keys))
        return [key for pair in pairs for key in keys if key[:2] == pair]

    def columns(self, section):
        return list(dict.fromkeys(n for e in self.entries if e['section'] == section for n in e['numbers']))

    def by_round(self, section, language, case, side, number):
        """{round: value}; of several measurements in one round their median."""
        rounds = {}
        for e in self.entries:
            if (e['section'], e['language'], e['case'], e['side']) == (section, language, case, side) \
                    and e['numbers'].get(number) is not None:
                rounds.setdefault(e['round'], []).append(e['numbers'][number])
        return {r: statistics.median(values) for r, values in rounds.items()}

    def median(self, *key):
        values = self.by_round(*key).values()
        return statistics.median(values) if values else None

    def ratio(self, section, language, case, number, side, other):
        """Median over the rounds of side / other; None where one of them was not measured."""
        ours = self.by_round(section, language, case, side, number)
        theirs = self.by_round(section, language, case, other, number)
        ratios = [ours[r] / theirs[r] for r in ours if theirs.get(r)]
        return statistics.median(ratios) if ratios else None

    def errors(self, section, language=None, case=None, side=None):
        return sum(e['errors'] for e in self.entries if e['section'] == section
                   and language in (None, e['language']) and case in (None, e['case']) and side in (None, e['side']))


def percentile(values, share):
    """The smallest value that `share` of all are not above; `values` in any order."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]
