"""The lineage as a picture: which lane each checkpoint has, and the lines to its parent."""

from __future__ import annotations

from rlhf.lineage import Rails, rails_of


def test_one_line_from_the_newest_down_to_the_base():
    rails = rails_of([(3, 2), (2, 1), (1, None)], trunk=3)
    assert rails[3] == Rails(lane=0, from_above=False, to_below=True, passing=(), joining=(), lanes=1)
    assert rails[2] == Rails(lane=0, from_above=True, to_below=True, passing=(), joining=(), lanes=1)
    assert rails[1] == Rails(lane=0, from_above=True, to_below=False, passing=(), joining=(), lanes=1)


def test_a_branch_has_a_lane_of_its_own_and_ends_at_its_parent():
    # 1 ── 2 ── 4 (promoted), and 3 from 1
    rails = rails_of([(4, 2), (3, 1), (2, 1), (1, None)], trunk=4)
    assert (rails[3].lane, rails[3].passing) == (1, (0,))
    assert (rails[2].lane, rails[2].passing) == (0, (1,))
    assert (rails[1].lane, rails[1].from_above, rails[1].joining) == (0, True, (1,))


def test_what_is_newer_than_the_promoted_one_is_not_in_its_lane():
    # 1 ── 2 (promoted) ── 3, and 4 from 1
    rails = rails_of([(4, 1), (3, 2), (2, 1), (1, None)], trunk=2)
    assert (rails[4].lane, rails[3].lane, rails[2].lane) == (1, 2, 0)
    assert (rails[2].from_above, rails[2].passing, rails[2].joining) == (False, (1,), (2,))
    assert rails[1].joining == (1,)


def test_a_lane_is_used_again_when_its_branch_has_ended():
    # two branches, one after the other, each from its trunk neighbour
    rails = rails_of([(6, 5), (5, 3), (4, 3), (3, 1), (2, 1), (1, None)], trunk=6)
    assert (rails[4].lane, rails[2].lane, rails[1].lanes) == (1, 1, 2)


def test_a_branch_of_a_branch_goes_on_in_its_lane():
    rails = rails_of([(4, 3), (3, 1), (2, 1), (1, None)], trunk=2)
    assert (rails[4].lane, rails[3].lane, rails[3].from_above) == (1, 1, True)
    assert rails[1].joining == (1,)


def test_lines_are_drawn_in_the_middle_of_their_lanes():
    rails = rails_of([(4, 2), (3, 1), (2, 1), (1, None)], trunk=4)[1]
    assert (rails.width, rails.x, rails.y) == (44, 11, 26)
    assert rails.curves == ["M33 0C33 26 11 0 11 26"]
