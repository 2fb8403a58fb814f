"""Small transformers, each with the parts that make its kind: of images, of text with masks, of text to come, of windows."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.prepare import SAMPLES, Factory, made, settled

WORDS = 20


class Attention(nn.Module):
    """Several heads, with as many heads of keys and values or fewer; queries and keys may be turned by their places."""

    def __init__(self, width, heads, groups=None, causal=False, rotary=None):
        super().__init__()
        self.heads, self.groups, self.causal, self.rotary = heads, groups or heads, causal, rotary
        size = width // heads
        self.query = nn.Linear(width, heads * size)
        self.keys = nn.Linear(width, self.groups * size, bias=False)
        self.values = nn.Linear(width, self.groups * size)
        self.out = nn.Linear(width, width)

    def forward(self, x, mask=None):
        parts = (
            (self.query(x), self.heads),
            (self.keys(x), self.groups),
            (self.values(x), self.groups),
        )
        query, keys, values = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part, heads in parts)
        if self.rotary is not None:
            query, keys = self.rotary(query), self.rotary(keys)
        grouped = self.groups != self.heads
        mixed = F.scaled_dot_product_attention(query, keys, values, mask, is_causal=self.causal, enable_gqa=grouped)
        return self.out(mixed.transpose(1, 2).flatten(2))


class Rotary(nn.Module):
    """Turn pairs of features by angles that grow with the place in the sentence."""

    def __init__(self, length, size):
        super().__init__()
        angles = torch.arange(length)[:, None] * 100.0 ** (-torch.arange(0, size, 2) / size)
        self.register_buffer("cos", torch.cos(angles).repeat(1, 2))
        self.register_buffer("sin", torch.sin(angles).repeat(1, 2))

    def forward(self, x):
        first, second = x.chunk(2, -1)
        return x * self.cos + torch.cat([-second, first], -1) * self.sin


class Block(nn.Module):
    """Attention and a network for each token, each behind a norm."""

    def __init__(self, width, attention, norm=nn.LayerNorm, activation=nn.GELU):
        super().__init__()
        self.before, self.between = norm(width), norm(width)
        self.attention = attention
        self.grow, self.activation, self.shrink = nn.Linear(width, 2 * width), activation(), nn.Linear(2 * width, width)

    def forward(self, x, mask=None):
        x = x + self.attention(self.before(x), mask)
        return x + self.shrink(self.activation(self.grow(self.between(x))))


class VisionTransformer(nn.Module):
    """Patches, a class token, learnt positions."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(1, 8, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.positions = nn.Parameter(torch.randn(1, 5, 8))
        self.blocks = nn.ModuleList([Block(8, Attention(8, 2)) for _ in range(2)])
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, 3)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.positions
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


class TextEncoder(nn.Module):
    """Sentences of several lengths: a mask hides what is behind the end of each; norms come behind the sums."""

    def __init__(self):
        super().__init__()
        self.words, self.positions = nn.Embedding(WORDS, 8), nn.Embedding(6, 8)
        self.norm = nn.LayerNorm(8)
        self.attention = Attention(8, 2)
        self.after = nn.LayerNorm(8)
        self.grow, self.shrink = nn.Linear(8, 12), nn.Linear(12, 8)
        self.pool, self.head = nn.Linear(8, 8), nn.Linear(8, 2)

    def forward(self, ids, mask):
        x = self.norm(self.words(ids) + self.positions(torch.arange(ids.shape[1])[None]))
        hidden = (1.0 - mask[:, None, None, :].to(x.dtype)) * torch.finfo(x.dtype).min
        x = self.after(x + self.attention(x, hidden))
        x = x + self.shrink(F.gelu(self.grow(x), approximate="tanh"))
        return self.head(torch.tanh(self.pool(x[:, 0])))


class MeanOfWords(nn.Module):
    """A mask of truth values for attention, and the mean of the words within each sentence."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(WORDS, 8)
        self.attention = Attention(8, 2)
        self.head = nn.Linear(8, 2)

    def forward(self, ids):
        mask = ids != 0
        x = self.attention(self.words(ids), mask[:, None, None, :])
        within = mask[..., None].to(x.dtype)
        return self.head((x * within).sum(1) / within.sum(1).clamp(min=1))


class Gated(nn.Module):
    """SwiGLU: a linear layer times the SiLU of another."""

    def __init__(self, width):
        super().__init__()
        self.gate, self.up, self.down = (nn.Linear(*sizes, bias=False) for sizes in ((width, 12), (width, 12), (12, width)))

    def forward(self, x):
        return self.down(F.silu(self.gate(x)) * self.up(x))


class Decoder(nn.Module):
    """Each word sees those before it; places by rotation, RMS norms, grouped heads, gated networks: a small Llama."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(WORDS, 8)
        self.attention = Attention(8, 4, 2, causal=True, rotary=Rotary(6, 2))
        self.norms = nn.ModuleList([nn.RMSNorm(8) for _ in range(3)])
        self.gated = Gated(8)
        self.head = nn.Linear(8, WORDS, bias=False)

    def forward(self, ids):
        x = self.words(ids)
        x = x + self.attention(self.norms[0](x))
        x = x + self.gated(self.norms[1](x))
        return self.head(self.norms[2](x))


class Windows(nn.Module):
    """Attention within windows of an image, which join the batch; the second time the windows are shifted and masked."""

    def __init__(self, side=4, window=2):
        super().__init__()
        self.side, self.window = side, window
        self.embed = nn.Conv2d(1, 8, 2, 2)
        self.attention = nn.ModuleList([Attention(8, 2) for _ in range(2)])
        self.norm = nn.LayerNorm(8)
        self.table = nn.Parameter(torch.randn((2 * window - 1) ** 2, 2))
        places = torch.stack(torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")).flatten(1)
        apart = (places[:, :, None] - places[:, None]) + window - 1
        self.register_buffer("apart", apart[0] * (2 * window - 1) + apart[1])
        areas = torch.arange(side).ge(side - window).long() + torch.arange(side).ge(side - 1).long()
        areas = (3 * areas[:, None] + areas)[None, :, :, None]
        areas = self.windows(areas).squeeze(-1)
        self.register_buffer("mask", torch.where(areas[:, None] != areas[:, :, None], -100.0, 0.0))
        self.head = nn.Linear(8, 3)

    def windows(self, x):
        batch, side, _, width = x.shape
        count = side // self.window
        parts = x.view(batch, count, self.window, count, self.window, width)
        return parts.permute(0, 1, 3, 2, 4, 5).reshape(-1, self.window**2, width)

    def image(self, windows):
        count = self.side // self.window
        parts = windows.view(-1, count, count, self.window, self.window, windows.shape[-1])
        return parts.permute(0, 1, 3, 2, 4, 5).reshape(-1, self.side, self.side, windows.shape[-1])

    def attend(self, attention, x, mask=None):
        windows = self.windows(x)
        bias = self.table[self.apart.flatten()].view(self.window**2, self.window**2, 2).permute(2, 0, 1)
        if mask is not None:
            bias = (bias + mask[:, None]).repeat(windows.shape[0] // mask.shape[0], 1, 1, 1)
        return self.image(attention(windows, bias))

    def forward(self, x):
        x = self.embed(x).permute(0, 2, 3, 1)
        x = x + self.attend(self.attention[0], self.norm(x))
        moved = torch.roll(x, (-1, -1), (1, 2))
        moved = self.attend(self.attention[1], moved, self.mask)
        x = x + torch.roll(moved, (1, 1), (1, 2))
        return self.head(x.mean((1, 2)))


class WrittenOut(nn.Module):
    """Attention by baddbmm over heads that join the batch, with a softmax of masked scores."""

    def __init__(self, heads=2):
        super().__init__()
        self.heads = heads
        self.parts = nn.Linear(8, 24)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        batch, tokens, width = x.shape
        size = width // self.heads
        parts = self.parts(x).view(batch, tokens, 3, self.heads, size).permute(2, 0, 3, 1, 4)
        query, keys, values = parts.reshape(3, batch * self.heads, tokens, size).unbind(0)
        slope = torch.arange(tokens, dtype=x.dtype)[None, None] * 0.1
        scores = torch.baddbmm(slope, query, keys.transpose(1, 2), beta=1.0, alpha=size**-0.5)
        future = torch.ones(tokens, tokens, dtype=torch.bool).triu(1)
        weights = scores.masked_fill(future, float("-inf")).softmax(-1)
        mixed = torch.bmm(weights, values).view(batch, self.heads, tokens, size)
        return self.head(mixed.permute(0, 2, 1, 3).reshape(batch, tokens, width)[:, -1])


class TokensFirst(nn.Module):
    """[tokens, batch, features] and Einstein sums, as in XLNet."""

    def __init__(self):
        super().__init__()
        self.query, self.keys, self.values = (nn.Parameter(torch.randn(8, 2, 4) / 3) for _ in range(3))
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        x = x.transpose(0, 1)
        query, keys, values = (torch.einsum("ibh,hnd->ibnd", x, weight) for weight in (self.query, self.keys, self.values))
        weights = torch.einsum("ibnd,jbnd->bnij", query, keys).softmax(3)
        mixed = torch.einsum("bnij,jbnd->ibnd", weights, values)
        return self.head(mixed.flatten(2).mean(0))


class OfTorch(nn.Module):
    """PyTorch's own encoder layer."""

    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.layer(x)[:, 0])


def sentences(with_mask: bool) -> tuple[Tensor, ...]:
    """Sentences of 2 to 6 words, filled up with 0."""
    mask = (torch.arange(6) < torch.randint(2, 7, (SAMPLES, 1))).long()
    ids = torch.randint(1, WORDS, (SAMPLES, 6)) * mask
    return (ids, mask) if with_mask else (ids,)


def reading(build: Callable[[], nn.Module], with_mask: bool = False) -> Factory:
    """Return a factory of a model of sentences."""

    def make() -> tuple[nn.Module, tuple[Tensor, ...]]:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            inputs = sentences(with_mask)
            return settled(build(), inputs), inputs

    return make


TRANSFORMERS: dict[str, Factory] = {
    "vision-transformer": made(VisionTransformer, (1, 8, 8)),
    "text-encoder": reading(TextEncoder, with_mask=True),
    "mean-of-words": reading(MeanOfWords),
    "decoder": reading(Decoder),
    "windows": made(Windows, (1, 8, 8)),
    "attention-written-out": made(WrittenOut, (5, 8)),
    "tokens-first": made(TokensFirst, (5, 8)),
    "encoder-layer-of-torch": made(OfTorch, (5, 8)),
}
