"""The board of a worker group: every worker does every command, however late it comes."""

import threading

import pytest

from evae.cluster.board import Board


@pytest.fixture
def board() -> Board:
    made = Board(workers=2)
    made.enlist(frozenset({"one"}))
    return made


def answered(board: Board, era: int, number: int) -> tuple[str, object]:
    """What comes of a command; as a leader asks, again and again."""
    while (found := board.read(era, number))[0] == "wait":
        pass
    return found


def in_thread(results: list, work, *arguments) -> threading.Thread:
    thread = threading.Thread(target=lambda: results.append(work(*arguments)), daemon=True)
    thread.start()
    return thread


def test_a_command_is_not_over_before_the_slowest_worker_has_done_it(board):
    number, read = board.post(1, "dump", ()), []
    reader = in_thread(read, answered, board, 1, number)
    assert board.fetch(1, number - 1) == ("do", ("dump", ()))
    board.answer(number, 0, b"saved")
    reader.join(0.2)
    assert not read  # a second command would now take the first one's place, and the second worker miss it
    assert board.fetch(1, number - 1) == ("do", ("dump", ()))
    board.answer(number, 1, None)
    reader.join()
    assert read == [("answer", b"saved")]
    assert board.post(1, "train_epoch", ()) == number + 1
    assert board.fetch(1, number) == ("do", ("train_epoch", ()))


def test_one_worker_that_fails_is_answer_enough(board):
    number, error = board.post(1, "begin", ()), RuntimeError("no memory")
    board.fail(number, error)
    assert board.read(1, number) == ("answer", error)


def test_what_an_earlier_set_of_processes_says_is_not_taken_for_the_next_ones_answer(board):
    lost = board.post(1, "train_epoch", ())
    board.answer(lost, 0, "early")
    assert board.enlist(frozenset({"two"})) == (2, lost)
    assert board.read(1, lost) == ("lost", None)
    assert board.current(1) == (2, {"two"}, None)
    assert board.post(1, "train_epoch", ()) is None
    number = board.post(2, "begin", ())
    board.answer(lost, 1, "late")
    board.fail(lost, RuntimeError("late"))
    board.answer(number, 0, "begun")
    board.answer(number, 1, None)
    assert board.read(2, number) == ("answer", "begun")
    assert board.fetch(1, number - 1) == ("leave", None)


def test_a_closed_board_sends_all_away_and_says_why(board):
    number, read = board.post(1, "measure", ()), []
    reader = in_thread(read, answered, board, 1, number)
    board.close("the study has ended")
    reader.join()
    assert read == [("closed", "the study has ended")]
    assert board.fetch(1, number) == ("leave", None)
