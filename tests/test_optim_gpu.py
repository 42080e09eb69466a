"""Optimizers on a GPU: nothing waits for it, and a captured step reads the rates of the moment."""

import pytest
import torch
from small_network import CPU, OPTIMIZERS, Network, descend, loss_of

from byol_core.config import resolve
from byol_core.optim.average import MovingAverage
from byol_core.optim.groups import local_rates, make_optimizer, set_rates

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is here")


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_no_step_waits_for_a_gpu(kind):
    gpu = torch.device("cuda")
    network = Network().to(gpu)
    settings = {**OPTIMIZERS[kind], "optimizer.weight_decay": 0.1}
    optimizer = make_optimizer(network, resolve("digits-tiny", settings), gpu)
    average = MovingAverage(Network().to(gpu), network, "own", gpu)
    x = torch.ones(8, 6, device=gpu)
    for step in range(2):
        optimizer.zero_grad(set_to_none=True)
        loss_of(network, x).backward()
        torch.cuda.set_sync_debug_mode("error")
        try:
            set_rates(optimizer, 0.1 / (step + 1), 0.1)
            optimizer.step()
            average.set_tau(0.9)
            average.move()
            local_rates(optimizer)
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_captured_step_reads_the_rate_of_the_moment(kind):
    gpu = torch.device("cuda")
    config = resolve("digits-tiny", {**OPTIMIZERS[kind], "optimizer.weight_decay": 0.1})
    networks = [Network().to(gpu), Network().to(gpu)]
    optimizers = [make_optimizer(network, config, gpu) for network in networks]
    x = torch.randn(8, 6, device=gpu)

    # One step each as usual, which makes the state; then the second network's step is captured.
    graph = torch.cuda.CUDAGraph()
    for network, optimizer in zip(networks, optimizers, strict=True):
        set_rates(optimizer, 0.1, 0.1)
        loss_of(network, x).backward()
        optimizer.step()
    networks[1].zero_grad(set_to_none=True)
    with torch.cuda.graph(graph):
        loss_of(networks[1], x).backward()
        optimizers[1].step()

    for rate in (0.05, 0.2, 0.0):
        for optimizer in optimizers:
            set_rates(optimizer, rate, 0.1)
        optimizers[0].zero_grad(set_to_none=True)
        loss_of(networks[0], x).backward()
        optimizers[0].step()
        graph.replay()
        torch.testing.assert_close(networks[0].state_dict(), networks[1].state_dict())


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_gpu_trains_as_a_processor_does_and_takes_over_its_state(kind):
    config = resolve("digits-tiny", {**OPTIMIZERS[kind], "optimizer.weight_decay": 0.1})
    here, there = Network(), Network().to("cuda")
    first = make_optimizer(here, config, CPU)
    second = make_optimizer(there, config, torch.device("cuda"))
    descend(here, first, 2)
    there.load_state_dict(here.state_dict())
    second.load_state_dict(first.state_dict())
    assert all(group["lr"].is_cuda for group in second.param_groups)

    x = torch.ones(8, 6)
    for network, optimizer in ((here, first), (there, second)):
        set_rates(optimizer, 0.1, 0.1)
        optimizer.zero_grad(set_to_none=True)
        loss_of(network, x.to(network.classifier.weight.device)).backward()
        optimizer.step()
    moved = {name: value.cpu() for name, value in there.state_dict().items()}
    torch.testing.assert_close(moved, dict(here.state_dict()), rtol=1e-4, atol=1e-5)
