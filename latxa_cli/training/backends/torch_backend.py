"""Plain torch: one process, or several that each hold the whole model and add up their gradients."""

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
from latxa_cli.training.processes import Processes


class TorchBackend:
    """AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101) on weights and moments in float32."""

    def __init__(self, config: TrainConfig, processes: Processes) -> None:
        self.config, self.world = config, processes.world

    def before_loading(self) -> None:
        """Prepare for the model to be loaded."""

    def wrap(self, network: PackedLoss) -> None:
        """Take the network, loaded and on its device."""
        self.trained = parameters.trained(network.model)
        self.optimizer = torch.optim.AdamW(
            parameters.groups(network.model, self.config),
            lr=self.config.learning_rate,
            betas=(self.config.beta1, self.config.beta2),
            fused=True,
        )
        self._wrapped: Any = network
        if self.world > 1:
            known = inspect.signature(DistributedDataParallel).parameters
            no_buffers: Any = {
                "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers": False
            }
            self._wrapped = DistributedDataParallel(network, gradient_as_bucket_view=True, **no_buffers)

    def accumulate(self, arguments: Mapping[str, Any], factor: float, *, last: bool) -> Tensor:
        """Add the gradient of `factor` times the loss of a forward pass; return that loss, summed over its tokens.

        `last`: no other pass follows in this step, so that the processes add up theirs.
        """
        with nullcontext() if last or self.world == 1 else self._wrapped.no_sync():
            loss: Tensor = self._wrapped(**arguments)
            (loss * (factor * self.world)).backward()  # the wrapper takes the mean over processes
        return loss.detach()

    def update(self, learning_rate: float) -> float:
        """Clip the gradient, do a step of the optimiser, forget the gradient; return its norm before."""
        norm = torch.nn.utils.clip_grad_norm_(list(self.trained.values()), self.config.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=self.world == 1)
        return float(norm)

    def state(self, parameter: Parameter) -> dict[str, Tensor]:
        """Return the weight (under no name) and its moments, in float32, whole."""
        held = self.optimizer.state[parameter]
        return {"": parameter.detach()} | {name: held[name] for name in MOMENTS}

    def load(self, states: Mapping[str, Mapping[str, Tensor]], step: int) -> None:
        """Take over the states, by name of parameter, that `state` gave after `step` steps."""
        with torch.no_grad():
            for name, parameter in self.trained.items():
                values = states[name]
                parameter.copy_(values[""])
                count = torch.tensor(float(step), device=parameter.device)  # on the device, since AdamW is fused
                moments = {key: values[key].to(parameter.device, copy=True) for key in MOMENTS}
                self.optimizer.state[parameter] = {"step": count, **moments}
