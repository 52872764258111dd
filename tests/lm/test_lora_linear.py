"""LoRA in one product gives what peft's three give: outputs, gradients, and after each update."""

from __future__ import annotations

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import nn

from rlhf.lm.lora_linear import WholeLora, use_whole_products, without_lora


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


@pytest.mark.parametrize("ours", [False, True])
def test_without_lora_the_layer_is_the_one_below(ours: bool) -> None:
    model, x = layers(True)[ours], torch.randn(2, 12)
    with_it = model(x)
    with torch.no_grad(), without_lora(model):
        torch.testing.assert_close(model(x), model[0].base_layer(x), rtol=0, atol=0)  # type: ignore[index]
    torch.testing.assert_close(model(x), with_it, rtol=0, atol=0)
    assert model(x).requires_grad


def test_in_bfloat16_outputs_and_gradients_are_as_near_to_float64_as_those_of_peft() -> None:
    x, gradient = torch.randn(2, 64, 12), torch.randn(2, 64, 20)

    def through(model: nn.Module, dtype: torch.dtype) -> list[torch.Tensor]:
        given = x.to(dtype).requires_grad_()
        out = model(given)
        out.backward(gradient.to(dtype))
        grads = [p.grad for p in model.parameters() if p.grad is not None]
        return [part.double() for part in (out.detach(), given.grad, *grads) if part is not None]

    theirs, ours = layers(True)
    exact = through(layers(True)[0].to(torch.bfloat16).double(), torch.float64)
    sides = []
    for model in (theirs, ours):
        model[0].base_layer.to(torch.bfloat16)  # type: ignore[index]
        sides.append(through(model, torch.bfloat16))
    assert len(exact) == len(sides[0]) == len(sides[1]) == 4
    for peft, own, right in zip(*sides, exact, strict=True):
        error, usual = ((part - right).norm() / right.norm() for part in (own, peft))
        assert error < 0.01  # bfloat16 rounds by up to 0.004
        assert error < 3 * usual + 0.004  # peft's adapters are multiplied in float32


def test_an_adapter_smaller_than_a_step_of_bfloat16_is_not_rounded_away() -> None:
    model = nn.Sequential(nn.Linear(2, 1, bias=False)).requires_grad_(False)
    inject_adapter_in_model(LoraConfig(r=1, lora_alpha=2, target_modules=["0"]), model)
    use_whole_products(model)
    layer = model[0]
    assert isinstance(layer, WholeLora)
    layer.base_layer.to(torch.bfloat16)
    with torch.no_grad():
        layer.base_layer.weight.fill_(1.0)
        layer.lora_A["default"].weight.copy_(torch.tensor([[1.0, 0.0]]))
        layer.lora_B["default"].weight.fill_(1e-4)
    # 1·1 - 1·1 + 2 · 0.0001 · 1; 1 + 0.0002 would be 1 in bfloat16
    out = model(torch.tensor([[1.0, -1.0]], dtype=torch.bfloat16)).detach()
    assert float(out) == pytest.approx(2e-4, rel=0.004)
