"""What a project does not ask is refused, however it was sent."""

import pytest

from annotator.ranking.judgments import InvalidJudgment, Judgment, checked

ALL = {
    "ask_tie": Judgment(ranks={1: 1, 2: 1}),
    "ask_all_bad": Judgment(verdict="all_bad"),
    "ask_rationale": Judgment(ranks={1: 1, 2: 2}, rationale="Clearer."),
    "ask_improved": Judgment(ranks={1: 1, 2: 2}, improved_text="Do it."),
}


@pytest.mark.parametrize("name", ALL)
def test_what_is_not_asked_is_refused(project, name):
    assert checked(ALL[name], project, [1, 2])
    setattr(project, name, False)
    with pytest.raises(InvalidJudgment):
        checked(ALL[name], project, [1, 2])


def test_a_ranking_of_three_may_have_ties_all_the_same(project):
    project.ask_tie = False
    values = checked(Judgment(ranks={1: 1, 2: 1, 3: 3}), project, [1, 2, 3])
    assert values["ranks"] == {"1": 1, "2": 1, "3": 2}
