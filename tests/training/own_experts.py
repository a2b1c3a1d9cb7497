"""The code of a model, as it comes with its weights: a mixture whose experts are modules of their own."""

import torch
from torch import nn
from transformers import MixtralConfig, MixtralForCausalLM


class OwnConfig(MixtralConfig):
    model_type = "own_experts"


class Expert(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.up = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, hidden):
        return self.down(nn.functional.silu(self.up(hidden)))


class Mixture(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.chosen = config.num_experts_per_tok
        self.gate = nn.Linear(config.hidden_size, config.num_local_experts, bias=False)
        self.experts = nn.ModuleList([Expert(config) for _ in range(config.num_local_experts)])

    def forward(self, hidden):
        flat = hidden.flatten(0, -2)
        weights, chosen = self.gate(flat).softmax(-1).topk(self.chosen)
        result = torch.zeros_like(flat)
        for number, expert in enumerate(self.experts):
            token, place = torch.where(chosen == number)
            if len(token):  # else nothing of this expert is in the graph
                result.index_add_(0, token, (expert(flat[token]) * weights[token, place, None]).to(result.dtype))
        return result.view_as(hidden)


class OwnForCausalLM(MixtralForCausalLM):
    config_class = OwnConfig

    def __init__(self, config):
        super().__init__(config)
        for layer in self.model.layers:
            layer.mlp = Mixture(config)
        self.post_init()
