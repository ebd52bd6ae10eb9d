"""What every device promises, held against the CPU, the fake and, with -m cuda, a real GPU."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_infer.model.device import CpuDevice, Device, open_device
from stream_infer.testing.device import LaterDevice


@pytest.fixture(params=["cpu", "later", pytest.param("cuda", marks=pytest.mark.cuda)])
def device(request: pytest.FixtureRequest) -> Device:
    return LaterDevice() if request.param == "later" else open_device(request.param)


def double_and_add(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return 2 * x + y


def batches(count: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for number in range(count):
        yield torch.full((4, 3), float(number)), torch.ones(4, 3)


def test_the_result_is_that_of_the_call_in_host_memory(device: Device) -> None:
    for x, y in batches(3):
        with torch.inference_mode():
            output = device.launch(double_and_add, device.stage((x, y))).result()
        assert output.device.type == "cpu"
        assert torch.equal(output, 2 * x + y)


def test_a_result_can_be_had_again_and_is_done(device: Device) -> None:
    with torch.inference_mode():
        flight = device.launch(torch.neg, device.stage((torch.ones(2),)))
    assert torch.equal(flight.result(), flight.result())
    assert flight.done()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_calls_in_flight_do_not_mix_in_whatever_order_they_are_waited_for(
    device: Device, order: tuple[int, int, int]
) -> None:
    given_ = list(batches(3))
    with torch.inference_mode():
        flights = [device.launch(double_and_add, device.stage(pair)) for pair in given_]
    for number in order:
        x, y = given_[number]
        assert torch.equal(flights[number].result(), 2 * x + y)


def test_inputs_may_be_overwritten_once_the_call_is_launched(device: Device) -> None:
    x = torch.ones(4)
    with torch.inference_mode():
        flight = device.launch(torch.neg, device.stage((x,)))
        x.fill_(7.0)
    assert torch.equal(flight.result(), -torch.ones(4))


def test_what_the_call_raises_reaches_who_waits(device: Device) -> None:
    with pytest.raises(RuntimeError, match=r"size of tensor"), torch.inference_mode():
        device.launch(torch.add, device.stage((torch.ones(2), torch.ones(3)))).result()


def test_nothing_is_under_way_when_the_device_has_settled(device: Device) -> None:
    with torch.inference_mode():
        flights = [device.launch(double_and_add, device.stage(pair)) for pair in batches(3)]
    device.settle()
    assert all(flight.done() for flight in flights)


def test_asking_whether_a_call_is_done_does_not_make_it_so() -> None:
    device = LaterDevice()
    flight = device.launch(torch.neg, device.stage((torch.ones(2),)))
    assert not flight.done()
    assert device.log == []


def test_a_call_runs_after_its_own_copy_while_the_next_copy_overtakes_it() -> None:
    device = LaterDevice()
    first, _second = [device.launch(double_and_add, device.stage(pair)) for pair in batches(2)]
    first.result()
    assert device.log == ["copy 0", "copy 1", "call 0", "read 0"]


@given(waits=st.permutations(range(5)))
@settings(deadline=None)
def test_every_call_runs_once_in_the_order_of_launching(waits: list[int]) -> None:
    device = LaterDevice()
    flights = [device.launch(double_and_add, device.stage(pair)) for pair in batches(5)]
    for number in waits:
        flights[number].result()
    assert [entry for entry in device.log if entry.startswith("call")] == [f"call {number}" for number in range(5)]


def test_auto_is_the_cpu_where_there_is_no_gpu() -> None:
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert open_device("auto").torch_device.type == expected
    assert isinstance(open_device("cpu"), CpuDevice)
