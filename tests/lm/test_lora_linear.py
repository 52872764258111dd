"""LoRA in one product gives what peft's three give: outputs, gradients, and after each update."""

from __future__ import annotations

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import nn

from rlhf.lm.lora_linear import WholeLora, use_whole_products


def layers(bias: bool) -> tuple[nn.Module, nn.Module]:
    """The same weights twice: peft's layer and ours, with adapters that are not zero."""
    made = []
    for _ in range(2):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(12, 20, bias=bias)).requires_grad_(False)
        inject_adapter_in_model(LoraConfig(r=4, lora_alpha=8, target_modules=["0"]), model)
        nn.init.normal_(model[0].lora_B["default"].weight)  # type: ignore[union-attr, arg-type, index]
        made.append(model)
    use_whole_products(made[1])
    assert isinstance(made[1][0], WholeLora)
    return made[0], made[1]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("below", [True, False])
def test_outputs_and_gradients_are_those_of_peft_over_several_updates(bias: bool, below: bool) -> None:
    theirs, ours = layers(bias)
    assert list(theirs.state_dict()) == list(ours.state_dict())
    sides = []
    for model in (theirs, ours):
        torch.manual_seed(1)
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.01)
        seen = []
        for _ in range(3):
            x = torch.randn(3, 5, 12, requires_grad=below)
            optimizer.zero_grad()
            out = model(x)
            out.square().mean().backward()
            seen += [out.detach(), *([x.grad] if x.grad is not None else [])]
            seen += [p.grad.clone() for p in model.parameters() if p.grad is not None]
            optimizer.step()
        sides.append(seen)
    assert len(sides[0]) == len(sides[1]) == 3 * (4 if below else 3)
    for a, b in zip(*sides, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_the_base_weights_stay_and_get_no_gradient() -> None:
    _, ours = layers(True)
    before = ours[0].base_layer.weight.clone()  # type: ignore[index]
    ours(torch.randn(2, 12)).sum().backward()
    assert ours[0].base_layer.weight.grad is None  # type: ignore[index]
    torch.testing.assert_close(ours[0].base_layer.weight, before, rtol=0, atol=0)  # type: ignore[index]


def test_bfloat16_stays_with_peft() -> None:
    theirs, ours = (model.to(torch.bfloat16) for model in layers(True))
    x = torch.randn(2, 12, dtype=torch.bfloat16)
    torch.testing.assert_close(theirs(x), ours(x), rtol=0, atol=0)
