"""Recurrent models as users write them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from transpike.training import NormalCurve, NormalGRU, NormalLSTM, NormalRNN
from zoo.prepare import Factory, anew

ELEMENTS, FEATURES = 5, 3


class Last(nn.Module):
    """A recurrent layer, and a linear one on the last output."""

    def __init__(self, layer, outputs=4):
        super().__init__()
        self.layer = layer
        self.head = nn.Linear(outputs, 3)

    def forward(self, x):
        return self.head(self.layer(x)[0][:, -1])


class Sentiment(nn.Module):
    """Words, the last hidden state of an LSTM, as in most tutorials."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(7, FEATURES)
        self.lstm = nn.LSTM(FEATURES, 4, batch_first=True)
        self.head = nn.Linear(4, 3)

    def forward(self, words):
        _, (hidden, _) = self.lstm(self.embedding(words))
        return self.head(hidden[-1])


class Spelled(nn.Module):
    """One-hot words into a GRU that takes time first."""

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(7, 4)
        self.head = nn.Linear(4, 3)

    def forward(self, words):
        _, hidden = self.gru(F.one_hot(words, 7).to(self.head.weight.dtype).transpose(0, 1))
        return self.head(hidden[0])


class Packed(nn.Module):
    """Sequences of different lengths, packed and padded again, two levels, both directions."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(FEATURES, 2, num_layers=2, bidirectional=True, batch_first=True)
        self.gru = nn.GRU(4, 2, bidirectional=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x, lengths):
        packed, (hidden, _) = self.lstm(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
        outputs, _ = pad_packed_sequence(packed, batch_first=True, total_length=ELEMENTS)
        _, last = self.gru(nn.utils.rnn.pack_padded_sequence(outputs.transpose(0, 1), lengths, enforce_sorted=False))
        return self.head(torch.cat([hidden[-2], hidden[-1], last[0], last[1]], 1))


class Started(nn.Module):
    """A learned first state, and one that comes as an input; an Elman layer without biases over the outputs."""

    def __init__(self):
        super().__init__()
        self.first = nn.Parameter(torch.rand(1, 1, 4))
        self.gru = nn.GRU(FEATURES, 4, batch_first=True)
        self.rnn = nn.RNN(4, 4, bias=False)
        self.head = nn.Linear(4, 3)

    def forward(self, x, state):
        outputs, _ = self.gru(x, self.first.expand(-1, x.shape[0], -1).contiguous())
        after, _ = self.rnn(outputs.transpose(0, 1), state.transpose(0, 1))
        return self.head(torch.tanh(after[-1]))


class Cells(nn.Module):
    """Two cells in a loop of the user's own, the second on the outputs of the first."""

    def __init__(self):
        super().__init__()
        self.lower = nn.LSTMCell(FEATURES, 4)
        self.upper = nn.GRUCell(4, 4)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        hidden = cell = above = x.new_zeros(x.shape[0], 4)
        for t in range(x.shape[1]):
            hidden, cell = self.lower(x[:, t], (hidden, cell))
            above = self.upper(hidden, above)
        return self.head(above)


class Crossed(nn.Module):
    """A cell whose input depends on what it did before: no loop over a sequence, so that it stays written out."""

    def __init__(self):
        super().__init__()
        self.cell = nn.RNNCell(FEATURES, FEATURES)
        self.head = nn.Linear(FEATURES, 3)

    def forward(self, x):
        state = x.new_zeros(x.shape[0], FEATURES)
        for element in x.unbind(1):
            state = self.cell(element + 0.5 * state, state)
        return self.head(state)


class Convolved(nn.Module):
    """Convolution before recurrence, recurrence before a hidden dense layer."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(FEATURES, 4, 3, padding=1)
        self.lstm = nn.LSTM(4, 4, batch_first=True)
        self.hidden = nn.Linear(4, 5)
        self.head = nn.Linear(5, 3)

    def forward(self, x):
        outputs, _ = self.lstm(torch.relu(self.conv(x.transpose(1, 2))).transpose(1, 2))
        return self.head(torch.relu(self.hidden(outputs.mean(1))))


class Tagged(nn.Module):
    """An answer for each element, of two levels over a dense layer, and for sequences of different lengths."""

    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(FEATURES, 4)
        self.gru = nn.GRU(4, 4, num_layers=2, batch_first=True)
        self.head = nn.Linear(4, 3)

    def forward(self, x, lengths):
        packed = pack_padded_sequence(torch.tanh(self.dense(x)), lengths, batch_first=True, enforce_sorted=False)
        outputs, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True, total_length=ELEMENTS)
        return self.head(outputs)


def made(build, inputs) -> Factory:
    """Return a factory of a model, with inputs that `inputs()` draws."""

    def make():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return anew(build()).eval(), inputs()

    return make


def sequence():
    return torch.rand(8, ELEMENTS, FEATURES) * 2 - 0.5


def words():
    return torch.randint(7, (8, ELEMENTS))


RECURRENT: dict[str, Factory] = {
    "lstm": made(lambda: Last(nn.LSTM(FEATURES, 4, batch_first=True)), sequence),
    "lstm-projected": made(lambda: Last(nn.LSTM(FEATURES, 4, proj_size=2, batch_first=True), 2), sequence),
    "gru": made(lambda: Last(nn.GRU(FEATURES, 4, batch_first=True)), sequence),
    "elman": made(lambda: Last(nn.RNN(FEATURES, 4, num_layers=2, batch_first=True)), sequence),
    "elman-relu": made(lambda: Last(nn.RNN(FEATURES, 4, nonlinearity="relu", batch_first=True)), sequence),
    "elman-relu-both": made(
        lambda: Last(nn.RNN(FEATURES, 3, 2, nonlinearity="relu", bidirectional=True, batch_first=True), 6), sequence
    ),
    "sentiment": made(Sentiment, words),
    "one-hot": made(Spelled, words),
    "packed": made(Packed, lambda: (sequence(), torch.tensor([5, 1, 3, 2, 4, 5, 2, 3]))),
    "tagged": made(Tagged, lambda: (sequence(), torch.tensor([5, 1, 3, 2, 4, 5, 2, 3]))),
    "states": made(Started, lambda: (sequence(), torch.rand(8, 1, 4))),
    "cells": made(Cells, sequence),
    "crossed": made(Crossed, sequence),
    "convolved": made(Convolved, sequence),
    "normal-lstm": made(lambda: Last(NormalLSTM(FEATURES, 4, batch_first=True)), sequence),
    "normal-gru": made(lambda: Last(NormalGRU(FEATURES, 4, num_layers=2, batch_first=True)), sequence),
    "normal-rnn": made(
        lambda: nn.Sequential(Last(NormalRNN(FEATURES, 4, batch_first=True)), NormalCurve(), nn.Linear(3, 2)), sequence
    ),
}
