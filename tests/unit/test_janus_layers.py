from __future__ import annotations

import pytest

from egress.model.media import MILLISECOND, SECOND, Size
from egress.rooms.janus_layers import Layers, begin_at, guess

SMALL, MIDDLE, LARGE = Size(300, 168), Size(640, 360), Size(1280, 720)


def test_before_anything_is_seen_the_layers_are_taken_for_720p_and_its_halves() -> None:
    assert Layers(SMALL).target == (0, 2)
    assert Layers(MIDDLE).target == (1, 2)
    assert Layers(LARGE).target == (2, 2)
    assert Layers(None).target == (0, 0)


def test_a_layer_a_little_smaller_than_the_tile_is_good_enough() -> None:
    assert Layers(Size(350, 198)).target[0] == 0
    assert Layers(Size(350, 240)).target[0] == 1, "a tile that is filled needs both dimensions"


def test_nine_tiles_of_a_720p_canvas_begin_below_the_top() -> None:
    assert Layers(guess(9)).target[0] == 1
    assert Layers(guess(16)).target[0] == 0
    assert Layers(guess(1)).target[0] == 2


def test_a_tile_that_grows_is_served_at_once() -> None:
    layers = Layers(SMALL)
    layers.want(LARGE)
    assert layers.choose(0) == (2, 2)
    assert layers.choose(1) is None


def test_a_tile_that_shrinks_is_served_after_it_stayed_small() -> None:
    layers = Layers(LARGE)
    layers.want(SMALL)
    assert layers.choose(0) is None
    assert layers.choose(SECOND) is None
    assert layers.choose(2 * SECOND) == (0, 2)


def test_a_tile_that_changes_to_and_fro_keeps_its_layer() -> None:
    layers = Layers(LARGE)
    for second in range(10):
        layers.want(SMALL if second % 2 else LARGE)
        assert layers.choose(second * SECOND) is None


def test_a_hidden_track_goes_to_the_lowest_layer_and_comes_back_at_once() -> None:
    layers = Layers(LARGE)
    layers.want(None)
    layers.choose(0)
    assert layers.choose(3 * SECOND) == (0, 0)
    layers.want(SMALL)
    assert layers.choose(3 * SECOND + 1) == (0, 2)


def test_sizes_are_learned_from_what_comes() -> None:
    layers = Layers(MIDDLE)
    layers.switched(1, 0)
    layers.saw(Size(960, 540), 0)
    assert layers.choose(100 * MILLISECOND) is None
    assert layers.size(1) == Size(640, 360), "a switch may be under way"
    layers.choose(SECOND)
    assert [layers.size(layer) for layer in range(3)] == [Size(480, 270), Size(960, 540), Size(1920, 1080)]


def test_a_source_that_turns_changes_all_layers() -> None:
    layers = Layers(MIDDLE)
    layers.switched(1, 0)
    layers.saw(Size(640, 360), 0)
    layers.choose(SECOND)
    layers.saw(Size(360, 640), 2 * SECOND)
    assert layers.choose(3 * SECOND) == (2, 2)
    assert layers.size(2) == Size(720, 1280)


def test_only_layers_the_server_stays_at_count_as_switches() -> None:
    layers = Layers(MIDDLE)
    # On its way from the top to the bottom and up again Janus says each layer it passes through.
    for at, substream in ((0, 2), (1, 1), (2, 1), (2, 99), (2, -1), (3, 0), (3, 1), (4, 2), (5, 1), (6, 0)):
        layers.switched(substream, at * SECOND if at < 3 else 3 * SECOND + at)
        layers.choose(at * SECOND + 900 * MILLISECOND if at < 2 else 2 * SECOND)
    layers.choose(10 * SECOND)
    assert layers.switches == 2, "2, then 1, then 0"


def test_a_size_is_not_believed_while_frames_around_a_switch_were_lost() -> None:
    layers = Layers(Size(426, 240))
    layers.saw(Size(240, 134), 0)
    layers.switched(0, 0)
    # The keyframe of the next layer is lost, and so are the frames before it.
    layers.switched(1, 10 * MILLISECOND)
    layers.missed()
    assert layers.choose(SECOND) is None and layers.target == (1, 2)
    assert layers.size(1) == Size(640, 360), "nothing is known yet"


@pytest.mark.parametrize("wrong", [Size(240, 134), Size(1280, 720), Size(134, 240)])
def test_a_size_that_does_not_fit_what_comes_now_is_forgotten(wrong: Size) -> None:
    layers = Layers(Size(426, 240))
    layers.saw(wrong, 0)
    layers.switched(1, 0)
    layers.choose(SECOND)
    layers.saw(Size(960, 540), 4 * SECOND)
    layers.switched(2, 4 * SECOND)
    layers.choose(5 * SECOND)
    layers.choose(8 * SECOND)
    assert layers.size(1) == Size(480, 270) and layers.target == (1, 2)


@pytest.mark.parametrize("size", [Size(480, 270), Size(640, 360), Size(960, 540)])
def test_layers_may_be_alike_or_scaled_by_less_or_more_than_two(size: Size) -> None:
    layers = Layers(Size(426, 240))
    layers.saw(size, 0)
    layers.switched(1, 0)
    layers.choose(SECOND)
    layers.saw(Size(960, 540), 4 * SECOND)
    layers.switched(2, 4 * SECOND)
    layers.choose(5 * SECOND)
    assert layers.size(1) == size


def test_only_a_tile_that_grew_is_served_at_once() -> None:
    layers = Layers(SMALL)
    layers.want(MIDDLE)
    assert layers.choose(0) == (1, 2)
    layers.want(LARGE)
    assert layers.choose(1) == (2, 2)
    # What is learned of the layers asks for another one as well, but no tile has grown.
    layers = Layers(SMALL)
    layers.want(MIDDLE)
    assert layers.choose(0) == (1, 2)
    layers.saw(Size(320, 180), 0)
    layers.switched(1, 0)
    assert layers.choose(SECOND) is None
    assert layers.choose(2 * SECOND) == (2, 2)


def test_a_new_track_begins_small_where_many_come_at_once() -> None:
    assert Layers(begin_at(LARGE, 9)).target == (1, 2)
    assert Layers(begin_at(SMALL, 2)).target == (0, 2)
    assert Layers(begin_at(None, 1)).target == (2, 2)
