import os
import signal

import pytest

from stream_infer.demo.interruption import SIGNALS, Interruption


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_everything_at_once(number: signal.Signals) -> None:
    with Interruption(), pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_a_wish_while_there_is_patience_and_the_second_is_not(number: signal.Signals) -> None:
    with Interruption() as interruption, interruption.patient():
        os.kill(os.getpid(), number)
        assert interruption.asked()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)


def test_signals_mean_afterwards_what_they_meant_before() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with Interruption() as interruption:
        assert not interruption.asked()
    assert [signal.getsignal(number) for number in SIGNALS] == before
