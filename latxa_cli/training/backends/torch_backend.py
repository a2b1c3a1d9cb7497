"""The backend of plain torch: one process, or several that each hold the whole model and add up their gradients."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn.parallel import DistributedDataParallel

from latxa_cli.training.checkpoints.checkpoint import MOMENTS
from latxa_cli.training.config import TrainConfig
from latxa_cli.training.network import parameters
from latxa_cli.training.network.forward import PackedLoss
from latxa_cli.training.network.reached import reaching_all
from latxa_cli.training.processes import Processes


class TorchBackend:
    """AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101) on weights and moments in float32."""

    def __init__(self, config: TrainConfig, processes: Processes) -> None:
        self.config, self.processes, self.world = config, processes, processes.world

    def before_loading(self) -> None:
        """Prepare to load the model."""

    def wrap(self, network: PackedLoss) -> None:
        """Take the network, loaded and on its device."""
        self.trained = parameters.trained(network.model)
        self.optimizer = torch.optim.AdamW(
            parameters.groups(network.model, self.config),
            lr=self.config.learning_rate,
            betas=(self.config.beta1, self.config.beta2),
            fused=True,
        )
        if self.world > 1:
            network.finish = lambda loss: reaching_all(loss, list(self.trained.values()))
        self._network = network
        self._wrapped: Any = None  # see `_together`

    def _together(self) -> Any:
        """Return the network, among several processes the one that exchanges gradients."""
        if self.world == 1:
            return self._network
        # Buffers are constants, such as the angles of positions, and need no exchange. The name of the parameter
        # depends on the version of torch.
        known = inspect.signature(DistributedDataParallel).parameters
        no_buffers: Any = {"forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers": False}
        return DistributedDataParallel(self._network, gradient_as_bucket_view=True, **no_buffers)

    def accumulate(self, arguments: Mapping[str, Any], factor: float, *, last: bool) -> Tensor:
        """Add the gradient of `factor` times the loss of a forward pass; return that loss, summed over its tokens.

        Args:
            arguments: of the network.
            factor: of the loss.
            last: whether this is the last pass of the step, after which the processes add up their gradients.
        """
        if self._wrapped is None:
            self._wrapped = self._together()
        with nullcontext() if last or self.world == 1 else self._wrapped.no_sync():
            loss: Tensor = self._wrapped(**arguments)
            (loss * (factor * self.world)).backward()  # torch takes the mean over processes, and the loss is a sum
        return loss.detach()

    def update(self, learning_rate: float) -> float:
        """Clip the gradient, step the optimiser and drop the gradient; return its norm before clipping.

        A gradient that is not finite changes nothing, and stays.
        """
        members = list(self.trained.values())
        for member in members:
            if member.grad is None:  # as with DeepSpeed, and among several processes, which keep gradients of 0
                member.grad = torch.zeros_like(member)
        norm = torch.nn.utils.get_total_norm([member.grad for member in members])  # type: ignore[misc]
        if not norm.isfinite():
            return float(norm)
        torch.nn.utils.clip_grads_with_norm_(members, self.config.clip, norm)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=self.world == 1)  # gradients in DDP are views of its buckets, and stay
        return float(norm)

    def state(self, parameter: Parameter) -> dict[str, Tensor]:
        """Return the whole weight, under the empty name, and its moments, in float32.

        These are 0 before the first gradient, which an expert gets only when a text comes to it.
        """
        moments = self.optimizer.state.get(parameter, {})
        nothing = torch.zeros(()).expand(parameter.shape)
        return {"": parameter.detach()} | {name: moments.get(name, nothing) for name in MOMENTS}

    def load(self, states: Mapping[str, Mapping[str, Tensor]], step: int) -> None:
        """Load the states from `state` after `step` steps, by name of parameter."""
        with torch.no_grad():
            for name, parameter in self.trained.items():
                values = states[name]
                parameter.copy_(values[""])
                count = torch.tensor(float(step), device=parameter.device)  # the fused AdamW counts on the device
                moments = {key: values[key].to(parameter.device, copy=True) for key in MOMENTS}
                self.optimizer.state[parameter] = {"step": count, **moments}
