"""The last layer for the first token alone gives what the pooler reads of the whole layer."""

from __future__ import annotations

import torch
from transformers import BertConfig, BertModel

from rlhf.lm.first_token import FirstToken


def test_output_and_gradients_are_those_of_the_whole_encoder() -> None:
    torch.manual_seed(0)
    model = BertModel(
        BertConfig(
            vocab_size=50, hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4
        )
    ).eval()
    assert FirstToken.fits(model)
    ids = torch.randint(0, 50, (3, 9))
    mask = (torch.arange(9) < torch.tensor([[9], [4], [1]])).long()
    sides = []
    for call in (lambda: model(input_ids=ids, attention_mask=mask).pooler_output, None):
        model.zero_grad()
        out = call() if call else FirstToken(model)(ids, mask)
        out.square().sum().backward()
        sides.append(
            (out.detach(), {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None})
        )
    torch.testing.assert_close(sides[0][0], sides[1][0], rtol=1e-5, atol=1e-5)
    assert sides[0][1].keys() == sides[1][1].keys()
    for name, gradient in sides[0][1].items():
        torch.testing.assert_close(gradient, sides[1][1][name], rtol=1e-4, atol=1e-5)
