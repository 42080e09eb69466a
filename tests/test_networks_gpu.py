"""Networks on a GPU: nothing in a pass waits for it, and a captured pass equals the plain one."""

import numpy as np
import pytest
import torch

from byol_core.config import resolve
from byol_core.networks.batch_statistics import set_order
from byol_core.networks.byol import Online
from byol_core.networks.init import initialize

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is here")

NETWORKS = {
    "per_view": {},
    "joint": {"batch_norm.views": "joint"},
    "groups": {"batch_norm.group": 4},
    "centre": {"batch_norm.parts": "centre"},
    "other_batch": {"batch_norm.source": "other_batch"},
    "running": {"batch_norm.source": "running"},
    "ws": {"encoder.norm": "gn", "encoder.weight_standardization": "biased"},
    "instance": {"encoder.norm": "in"},
}


def on_gpu(kind):
    config = resolve("digits-tiny", NETWORKS[kind])
    network = Online(config, 1)
    initialize(network, config.init, 0)
    return network.to("cuda")


def views():
    return torch.rand(2, 16, 1, 16, 16, generator=torch.Generator().manual_seed(0)).to("cuda")


def one_pass(network, x):
    _, z = network(x)
    prediction = network.predictor(z)
    prediction.square().mean().backward()
    return prediction


@pytest.mark.parametrize("kind", NETWORKS)
def test_no_pass_waits_for_a_gpu(kind):
    network = on_gpu(kind)
    x = views()
    one_pass(network, x)
    torch.cuda.set_sync_debug_mode("error")
    try:
        one_pass(network, x)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_captured_pass_equals_the_plain_one(kind):
    plain, captured = on_gpu(kind), on_gpu(kind)
    x = views()
    if kind == "groups":
        for network in (plain, captured):
            set_order(network, np.random.default_rng(0).permutation(16))

    # Passes before the capture, as CUDA graphs need them; both networks take the same.
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(2):
            one_pass(captured, x)
    torch.cuda.current_stream().wait_stream(stream)
    for _ in range(2):
        one_pass(plain, x)

    graph = torch.cuda.CUDAGraph()
    captured.zero_grad(set_to_none=True)
    with torch.cuda.graph(graph):
        prediction = one_pass(captured, x)
    graph.replay()
    plain.zero_grad(set_to_none=True)
    torch.testing.assert_close(prediction, one_pass(plain, x), rtol=1e-4, atol=1e-5)
    for name, parameter in plain.named_parameters():
        other = captured.get_parameter(name).grad
        torch.testing.assert_close(other, parameter.grad, rtol=1e-3, atol=1e-5, msg=name)
    for name, buffer in plain.named_buffers():
        torch.testing.assert_close(captured.get_buffer(name), buffer, rtol=1e-4, atol=1e-5)
