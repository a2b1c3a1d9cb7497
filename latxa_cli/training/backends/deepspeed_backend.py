"""The backend of DeepSpeed, which shares out moments, gradients and weights among the processes.

- ZeRO: Rajbhandari et al. 2020, arXiv 1910.02054.
- Settings that a user may lay over ours: https://www.deepspeed.ai/docs/config-json.
"""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import Parameter

from latxa_cli.model import quiet_libraries
from latxa_cli.stream.errors import LatxaError, UsageError, first_line
from latxa_cli.stream.records import JsonObject
from latxa_cli.training.checkpoints.checkpoint import MOMENTS
from latxa_cli.training.config import TrainConfig
from latxa_cli.training.network import parameters
from latxa_cli.training.network.forward import PackedLoss
from latxa_cli.training.network.reached import in_one_order, reaching_all
from latxa_cli.training.processes import Processes

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def settings(config: TrainConfig, processes: Processes) -> JsonObject:
    """Return DeepSpeed's settings: ours, with the file of `config.deepspeed` laid over them.

    Raises:
        LatxaError: the file cannot be read.
        UsageError: the file is no JSON object, sets what the training settings decide, or has settings of ZeRO that
            DeepSpeed does not know.
    """
    each = -(-config.sequences_per_step // processes.world)
    own: JsonObject = {
        "train_micro_batch_size_per_gpu": min(config.batch_size, each),
        "gradient_accumulation_steps": -(-each // config.batch_size),
        "gradient_clipping": config.clip,
        "zero_optimization": {"stage": config.zero_stage},
        "zero_allow_untested_optimizer": True,  # torch's AdamW, as in the other backend
        "steps_per_print": 1 << 30,  # never: it logs to stdout
        **({"bf16": {"enabled": True}, "data_types": {"grad_accum_dtype": "fp32"}} if holds_half(config) else {}),
    }
    if not config.deepspeed:
        return own
    try:
        laid_over = json.loads(Path(config.deepspeed).read_text(encoding="utf-8"))
    except OSError as error:
        raise LatxaError(f"`{config.deepspeed}` cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"`{config.deepspeed}` is not JSON: {error}") from None
    if not isinstance(laid_over, dict):
        raise UsageError(f"`{config.deepspeed}` is not a JSON object")
    for name in ("train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps", "optimizer",
                 "scheduler", "gradient_clipping", "fp16", "bf16"):  # fmt: skip
        if name in laid_over:
            raise UsageError(
                f"`{config.deepspeed}` sets `{name}`, which the training settings decide",
                hint="leave it out; see `latxa train --help`",
            )
    merged = _over(own, laid_over)
    _check_zero(config.deepspeed, merged["zero_optimization"])
    stage = merged["zero_optimization"].get("stage")
    if stage != config.zero_stage:
        raise UsageError(f"`{config.deepspeed}` has ZeRO stage {stage}, `zero_stage` is {config.zero_stage}")
    return merged


def _check_zero(path: str, zero: object) -> None:
    """Raise UsageError for settings of ZeRO that DeepSpeed does not know, before the model is loaded."""
    from deepspeed.runtime.zero.config import DeepSpeedZeroConfig
    from pydantic import ValidationError

    if not isinstance(zero, dict):
        raise UsageError(f"`{path}`: `zero_optimization` is not a JSON object")
    try:
        DeepSpeedZeroConfig(**zero)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, ("zero_optimization", *first["loc"])))
        raise UsageError(f"`{path}`: `{name}`: {first['msg']}") from None


def holds_half(config: TrainConfig) -> bool:
    """Whether the engine holds the model's weights in bfloat16, and a copy of its own in float32.

    Stage 0 would then add up gradients in bfloat16. It gets weights in float32, which the network casts.
    """
    return config.dtype == "bfloat16" and config.zero_stage > 0


def _over(below: JsonObject, above: JsonObject) -> JsonObject:
    """Return the nested object `below`, with the values of `above` in place of its own."""
    merged = dict(below)
    for name, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = _over(merged[name], value) if both else value
    return merged


class DeepSpeedBackend:
    """An engine of DeepSpeed around the network, made before the model is loaded (see `before_loading`)."""

    def __init__(self, config: TrainConfig, processes: Processes) -> None:
        """Load DeepSpeed and its settings; raises LatxaError where it is not installed, and as `settings` does."""
        quiet_libraries()  # before the import, which logs to stdout
        try:
            import deepspeed
        except ImportError as error:
            hint = '`pip install deepspeed`, or `backend = "torch"`'
            raise LatxaError(f"DeepSpeed cannot be loaded: {first_line(error)}", hint=hint) from None
        # DeepSpeed calls functions of torch by their old names, and users can do nothing about it.
        warnings.filterwarnings("ignore", r"`torch\.distributed\.", FutureWarning)
        # Otherwise the first start on a CPU compiles a kernel for minutes. A start that is killed meanwhile leaves a
        # lock behind, on which every later start waits silently.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
        self.config, self.processes = config, processes
        self.settings = settings(config, processes)
        deepspeed.init_distributed(auto_mpi_discovery=False, verbose=False)
        self._kept: Any = None
        self._linked = False

    def before_loading(self) -> None:
        """Make transformers load weights into shared-out parameters, so that no process holds a whole model."""
        if self.config.zero_stage == 3:
            from transformers.integrations import HfDeepSpeedConfig

            self._kept = HfDeepSpeedConfig(self.settings)  # takes effect on every model as long as it lives

    def wrap(self, network: PackedLoss) -> None:
        """As `TorchBackend.wrap`."""
        import deepspeed
        from transformers.integrations.deepspeed import unset_hf_deepspeed_config

        self._kept = None  # a model that is loaded from now on, by `export`, must be whole
        unset_hf_deepspeed_config()
        self.network = network
        self.trained = parameters.trained(network.model)
        if self.processes.world > 1 and self.config.zero_stage < 3:
            network.finish = self._reaching
        _gather_experts_together(network)
        _restore_buffers(network.model)
        buffers = {name: buffer.data for name, buffer in network.named_buffers()}
        if holds_half(self.config):
            network.casts = False
            for parameter in network.parameters():
                if self.config.zero_stage != 3:  # stage 3 has loaded them in bfloat16
                    parameter.data = parameter.data.bfloat16()
        with redirect_stdout(io.StringIO()):  # it prints the memory for ZeRO 1 in bfloat16, and stdout is for records
            self.engine, *_ = deepspeed.initialize(
                model=network, optimizer=self._optimizer(), config=self.settings, dist_init_required=False
            )
        for name, buffer in network.named_buffers():
            buffer.data = buffers[name]  # the engine has rounded them too, and positions would rotate by other angles

    def _optimizer(self) -> Any:
        groups = parameters.groups(self.network.model, self.config)
        rates = {"lr": self.config.learning_rate, "betas": (self.config.beta1, self.config.beta2)}
        offload = self.settings["zero_optimization"].get("offload_optimizer") or {}
        if offload.get("device", "none") != "none":
            from deepspeed.ops.adam import DeepSpeedCPUAdam

            return DeepSpeedCPUAdam(groups, adamw_mode=True, **rates)
        return torch.optim.AdamW(groups, fused=True, **rates)  # type: ignore[arg-type]

    def accumulate(self, arguments: Mapping[str, Any], factor: float, *, last: bool) -> Tensor:
        """As `TorchBackend.accumulate`."""
        self.engine.set_gradient_accumulation_boundary(last)
        loss: Tensor = self.engine(**arguments)
        # As in `TorchBackend`, `factor` holds the tokens of the whole step, so that nothing else may be divided.
        self.engine.backward(loss * (factor * self.processes.world), scale_wrt_gas=False)
        return loss.detach()

    def update(self, learning_rate: float) -> float:
        """As `TorchBackend.update`."""
        for group in self.engine.optimizer.param_groups:
            group["lr"] = learning_rate
        gradients = [parameter.grad for parameter in self.trained.values() if parameter.grad is not None]
        plain = self.engine.optimizer is self.engine.basic_optimizer  # stage 0 in float32, which keeps no norm
        norm = float(torch.nn.utils.get_total_norm(gradients)) if plain else 0.0
        self.engine.step()
        self._link_moments()
        return norm if plain else float(self.engine.get_global_grad_norm() or 0.0)

    def state(self, parameter: Parameter) -> dict[str, Tensor]:
        """As `TorchBackend.state`; all processes must ask for the same one."""
        from deepspeed.utils import safe_get_full_fp32_param, safe_get_full_optimizer_state

        if not self._is_shared(parameter):
            own_state = self.engine.optimizer.state[parameter]
            return {"": parameter.detach()} | {name: own_state[name] for name in MOMENTS}
        moments = {name: safe_get_full_optimizer_state(parameter, name) for name in MOMENTS}
        return {"": safe_get_full_fp32_param(parameter), **moments}

    def load(self, states: Mapping[str, Mapping[str, Tensor]], step: int) -> None:
        """As `TorchBackend.load`; after a first step, which makes the moments that this overwrites."""
        import deepspeed
        from deepspeed.utils import safe_set_full_fp32_param, safe_set_full_optimizer_state

        inner = getattr(self.engine.optimizer, "optimizer", self.engine.optimizer)
        for state in inner.state.values():
            state["step"] = torch.full_like(state["step"], step) if torch.is_tensor(state["step"]) else step
        for name, parameter in self.trained.items():
            values = {key: value.to(self.processes.device) for key, value in states[name].items()}
            if not self._is_shared(parameter):
                for key in MOMENTS:
                    self.engine.optimizer.state[parameter][key].copy_(values[key])
            else:
                safe_set_full_fp32_param(parameter, values[""])
                for key in MOMENTS:
                    safe_set_full_optimizer_state(parameter, values[key], key)
            with torch.no_grad(), deepspeed.zero.GatheredParameters([parameter], modifier_rank=0):
                parameter.copy_(values[""])

    def _reaching(self, loss: Tensor) -> Tensor:
        """Return the loss of a pass so that processes can exchange its gradients.

        Stage 2 adds gradients up in the order in which they come; the others do so in the order of the weights.
        """
        members = list(self.trained.values())
        if self.config.zero_stage == 2:
            return in_one_order(loss, members, self.processes)
        return reaching_all(loss, members)

    def _link_moments(self) -> None:
        """Link every parameter to its moments after the first step.

        DeepSpeed (0.19.8, `_lazy_init_hp_params_optimizer_state`) does it only once, after the step of the first group
        of parameters, when the moments of the other groups do not exist yet.
        """
        optimizer = self.engine.optimizer
        if not self._linked and hasattr(optimizer, "_hp_optimizer_states_linked"):
            optimizer._hp_optimizer_states_linked = False
            optimizer._lazy_init_hp_params_optimizer_state()
        self._linked = True

    def _is_shared(self, parameter: Parameter) -> bool:
        return hasattr(parameter, "ds_id") or hasattr(parameter, "_hp_mapping")


def _gather_experts_together(network: torch.nn.Module) -> None:
    """Make stage 3 gather all experts of a layer at once, of which processes call different ones.

    DeepSpeed does so of itself for some kinds. Experts that are one stacked matrix need nothing.
    """
    from deepspeed.utils import set_z3_leaf_module

    modules = dict(network.named_modules())
    for name, module in modules.items():
        if isinstance(module, torch.nn.ModuleList) and name.endswith("experts"):
            while isinstance(modules[name], torch.nn.ModuleList):
                name = name.rpartition(".")[0]
            set_z3_leaf_module(modules[name], True)


def _restore_buffers(model: PreTrainedModel) -> None:
    """Compute the angles of positions again in float32, since loading in parts has rounded them."""
    for module in model.modules():
        rounded = [name for name, buffer in module.named_buffers(recurse=False) if buffer.dtype == torch.bfloat16]
        if rounded and not list(module.parameters(recurse=False)):
            for name in rounded:
                module._buffers[name] = module.get_buffer(name).float()
            model._init_weights(module)
