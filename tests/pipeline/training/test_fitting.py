"""The convolution that comes closest to another layer's answers."""

from __future__ import annotations

import torch

from pipeline.training.least_squares import fitted_convolution


def example() -> tuple[torch.nn.Conv2d, torch.Tensor, torch.Tensor]:
    """A convolution, frames, and its answers to them."""
    torch.manual_seed(4)
    conv = torch.nn.Conv2d(3, 5, 3, stride=2)
    frames = torch.randn(6, 3, 21, 21)
    with torch.no_grad():
        return conv, frames, conv(frames)


def test_it_finds_the_convolution_that_made_the_answers():
    conv, frames, answers = example()
    fit = fitted_convolution([frames[:2], frames[2:]], [answers[:2], answers[2:]], None, kernel=3, stride=2)
    torch.testing.assert_close(fit.weight, conv.weight.detach(), rtol=0, atol=5e-3)
    torch.testing.assert_close(fit.bias, conv.bias.detach(), rtol=0, atol=5e-3)
    spread = answers.movedim(1, 0).flatten(1).std(dim=1)
    torch.testing.assert_close(fit.deviation, spread, rtol=0.02, atol=0)


def test_it_looks_only_where_it_may():
    conv, frames, answers = example()
    answers[:, :, :5] = 99.0
    mask = torch.zeros(6, 10, 10, dtype=torch.bool)
    mask[:, 5:] = True
    fit = fitted_convolution([frames], [answers], [mask], kernel=3, stride=2)
    torch.testing.assert_close(fit.weight, conv.weight.detach(), rtol=0, atol=5e-3)


def test_of_answers_with_noise_it_is_the_one_of_least_squares():
    _, frames, answers = example()
    noisy = answers + torch.randn_like(answers)
    fit = fitted_convolution([frames], [noisy], None, kernel=3, stride=2)
    patches = torch.nn.functional.unfold(frames, 3, stride=2).movedim(1, 2).flatten(0, 1)
    rows = torch.cat([patches, torch.ones(len(patches), 1)], dim=1)
    best = torch.linalg.lstsq(rows, noisy.movedim(1, 3).flatten(0, 2)).solution
    torch.testing.assert_close(fit.weight.flatten(1), best[:-1].T, rtol=0, atol=5e-3)


def test_where_no_position_counts_all_do_and_inputs_that_never_change_weigh_nothing():
    conv, frames, answers = example()
    frames[:, 1] = 0.0
    with torch.no_grad():
        answers = conv(frames)
    fit = fitted_convolution([frames], [answers], [torch.zeros(6, 10, 10, dtype=torch.bool)], kernel=3, stride=2)
    assert torch.isfinite(fit.weight).all()
    assert fit.weight[:, 1].abs().max() < 1e-6
    torch.testing.assert_close(fit.weight[:, 0], conv.weight[:, 0].detach(), rtol=0, atol=5e-3)
