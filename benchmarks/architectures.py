"""Small architectures of Hugging Face's transformers with random weights: how to make each, and samples for it.

A row is a class of the model, a class of its configuration, the settings of the configuration, and the kind of samples.
Nothing is loaded or trained: transformers is only imported when a model is made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

SAMPLES = 72
WORDS, LENGTH = 99, 10


def images(side: int) -> Callable[[], tuple[Tensor, ...]]:
    return lambda: (torch.rand(SAMPLES, 3, side, side),)


def words() -> tuple[Tensor, ...]:
    return (torch.randint(3, WORDS, (SAMPLES, LENGTH)),)


def masked_words() -> tuple[Tensor, ...]:
    """Sentences of several lengths, filled up behind their ends."""
    lengths = torch.randint(4, LENGTH + 1, (SAMPLES, 1))
    mask = (torch.arange(LENGTH) < lengths).long()
    return words()[0] * mask, mask


def sound(samples: int) -> Callable[[], tuple[Tensor, ...]]:
    return lambda: (torch.randn(SAMPLES, samples),)


def spectra(*shape: int) -> Callable[[], tuple[Tensor, ...]]:
    return lambda: (torch.randn(SAMPLES, *shape),)


@dataclass(frozen=True)
class Architecture:
    """A model of transformers: names of its classes, settings that keep it small, and its samples."""

    model: str
    config: str
    settings: dict[str, Any]
    samples: Callable[[], tuple[Tensor, ...]]
    part: str = ""  # what of the model is taken, such as its encoder
    nested: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)  # configurations inside, such as of a backbone

    def make(self, seed: int = 0) -> tuple[nn.Module, tuple[Tensor, ...]]:
        """Return the model in evaluation mode with random weights, and samples."""
        import transformers

        torch.manual_seed(seed)
        inner = {name: getattr(transformers, kind)(**settings) for name, (kind, settings) in self.nested.items()}
        config = getattr(transformers, self.config)(**self.settings, **inner)
        model = getattr(transformers, self.model)(config).eval()
        for name in filter(None, self.part.split(".")):
            model = getattr(model, name)
        samples = self.samples()
        return enlivened(model, samples), samples


def enlivened(model: nn.Module, samples: tuple[Tensor, ...]) -> nn.Module:
    """The model with weights that keep the size of the signal, as training does: those of a new model let it fade away."""
    for module in model.modules():
        weight = getattr(module, "weight", None)
        if isinstance(module, nn.Linear | nn.modules.conv._ConvNd):  # noqa: SLF001 - the only common class
            nn.init.kaiming_normal_(weight)
        elif type(module).__name__ == "Conv1D":  # GPT-2's linear layer, with inputs as axis 0
            nn.init.normal_(weight, std=len(weight) ** -0.5)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(weight, std=0.5)
    for parameter in model.parameters():
        if parameter.numel() and float(parameter.abs().max()) < 1e-3:  # biases, scales of layers, tokens
            nn.init.normal_(parameter, std=0.1 if parameter.ndim > 1 else 0.3)
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]  # noqa: SLF001
    for norm in norms:
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        norm.momentum = None  # the mean of all batches seen
        norm.train()
    if norms:
        with torch.no_grad():
            model(*samples)
    return model.eval()


TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
TEXT = {**TINY, "vocab_size": WORDS, "max_position_embeddings": 40}
DECODER = {**TEXT, "use_cache": False}
GROUPED = {**DECODER, "num_key_value_heads": 2}
PATCHES = {**TINY, "image_size": 32, "patch_size": 8}
SPEECH = {
    **TINY,
    "conv_dim": (16, 16),
    "conv_stride": (5, 4),
    "conv_kernel": (10, 8),
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 4,
}
STAGES = {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 24, 32]}

ARCHITECTURES: dict[str, Architecture] = {
    # Convolutions.
    "ResNet": Architecture("ResNetForImageClassification", "ResNetConfig", {"embedding_size": 8, **STAGES}, images(64)),
    "RegNet": Architecture(
        "RegNetForImageClassification", "RegNetConfig", {"embedding_size": 8, "groups_width": 8, **STAGES}, images(64)
    ),
    "MobileNetV1": Architecture(
        "MobileNetV1ForImageClassification", "MobileNetV1Config", {"depth_multiplier": 0.25, "image_size": 64}, images(64)
    ),
    "MobileNetV2": Architecture(
        "MobileNetV2ForImageClassification", "MobileNetV2Config", {"depth_multiplier": 0.35, "image_size": 64}, images(64)
    ),
    "EfficientNet": Architecture(
        "EfficientNetForImageClassification",
        "EfficientNetConfig",
        {"width_coefficient": 0.25, "depth_coefficient": 0.3, "hidden_dim": 320, "image_size": 64},
        images(64),
    ),
    "ConvNeXt": Architecture("ConvNextForImageClassification", "ConvNextConfig", STAGES, images(64)),
    "ConvNeXt V2": Architecture("ConvNextV2ForImageClassification", "ConvNextV2Config", STAGES, images(64)),
    "BiT": Architecture("BitForImageClassification", "BitConfig", {"embedding_size": 8, "num_groups": 4, **STAGES}, images(64)),
    "PoolFormer": Architecture("PoolFormerForImageClassification", "PoolFormerConfig", STAGES, images(64)),
    "HGNet V2": Architecture("HGNetV2ForImageClassification", "HGNetV2Config", {}, images(64)),
    "TextNet": Architecture("TextNetForImageClassification", "TextNetConfig", {}, images(64)),
    # Convolutions and attention.
    "MobileViT": Architecture(
        "MobileViTForImageClassification",
        "MobileViTConfig",
        {"hidden_sizes": [16, 24, 32], "neck_hidden_sizes": [8, 8, 16, 16, 24, 32, 32], "image_size": 64, "expand_ratio": 2.0},
        images(64),
    ),
    "MobileViT V2": Architecture(
        "MobileViTV2ForImageClassification", "MobileViTV2Config", {"width_multiplier": 0.25, "image_size": 64}, images(64)
    ),
    "CvT": Architecture(
        "CvtForImageClassification",
        "CvtConfig",
        {"embed_dim": [8, 16, 32], "num_heads": [1, 2, 2], "depth": [1, 2, 3]},
        images(64),
    ),
    "LeViT": Architecture(
        "LevitForImageClassification",
        "LevitConfig",
        {
            "hidden_sizes": [16, 24, 32],
            "num_attention_heads": [2, 2, 2],
            "depths": [1, 1, 1],
            "key_dim": [8, 8, 8],
            "image_size": 64,
        },
        images(64),
    ),
    "PVT": Architecture(
        "PvtForImageClassification",
        "PvtConfig",
        {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 2, 2, 4], "image_size": 64},
        images(64),
    ),
    "PVT V2": Architecture(
        "PvtV2ForImageClassification",
        "PvtV2Config",
        {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 2, 2, 4], "image_size": 64},
        images(64),
    ),
    "SegFormer": Architecture(
        "SegformerForSemanticSegmentation",
        "SegformerConfig",
        {
            "hidden_sizes": [8, 16, 24, 32],
            "depths": [1, 1, 1, 1],
            "num_attention_heads": [1, 2, 2, 4],
            "decoder_hidden_size": 16,
        },
        images(64),
    ),
    "SwiftFormer": Architecture(
        "SwiftFormerForImageClassification",
        "SwiftFormerConfig",
        {"depths": [1, 1, 1, 1], "embed_dims": [8, 16, 24, 32], "image_size": 64},
        images(64),
    ),
    "FocalNet": Architecture(
        "FocalNetForImageClassification",
        "FocalNetConfig",
        {
            "embed_dim": 8,
            "depths": [1, 1],
            "hidden_sizes": [8, 16],
            "focal_levels": [2, 2],
            "focal_windows": [3, 3],
            "image_size": 32,
        },
        images(32),
    ),
    # Attention over patches of an image.
    "ViT": Architecture("ViTForImageClassification", "ViTConfig", PATCHES, images(32)),
    "DeiT": Architecture("DeiTForImageClassification", "DeiTConfig", PATCHES, images(32)),
    "BEiT": Architecture(
        "BeitForImageClassification", "BeitConfig", {**PATCHES, "use_relative_position_bias": True}, images(32)
    ),
    "DINOv2": Architecture("Dinov2ForImageClassification", "Dinov2Config", PATCHES, images(32)),
    "DINOv3": Architecture("DINOv3ViTModel", "DINOv3ViTConfig", PATCHES, images(32)),
    "ViT MSN": Architecture("ViTMSNForImageClassification", "ViTMSNConfig", PATCHES, images(32)),
    "Swin": Architecture(
        "SwinForImageClassification",
        "SwinConfig",
        {"embed_dim": 8, "depths": [2, 2], "num_heads": [2, 2], "window_size": 4, "image_size": 32, "patch_size": 2},
        images(32),
    ),
    "Swin V2": Architecture(
        "Swinv2ForImageClassification",
        "Swinv2Config",
        {"embed_dim": 8, "depths": [2, 2], "num_heads": [2, 2], "window_size": 4, "image_size": 32, "patch_size": 2},
        images(32),
    ),
    "CLIP vision": Architecture("CLIPVisionModel", "CLIPVisionConfig", PATCHES, images(32)),
    "SigLIP vision": Architecture("SiglipVisionModel", "SiglipVisionConfig", PATCHES, images(32)),
    "YOLOS": Architecture(
        "YolosForObjectDetection", "YolosConfig", {**PATCHES, "image_size": [32, 32], "num_detection_tokens": 5}, images(32)
    ),
    "Data2Vec vision": Architecture("Data2VecVisionForImageClassification", "Data2VecVisionConfig", PATCHES, images(32)),
    "DETR": Architecture(
        "DetrForObjectDetection",
        "DetrConfig",
        {
            "use_timm_backbone": False,
            "use_pretrained_backbone": False,
            "backbone": None,
            "d_model": 32,
            "encoder_layers": 1,
            "decoder_layers": 1,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 4,
            "encoder_ffn_dim": 64,
            "decoder_ffn_dim": 64,
            "num_queries": 5,
        },
        images(64),
        nested={"backbone_config": ("ResNetConfig", {"embedding_size": 8, **STAGES, "out_features": ["stage4"]})},
    ),
    # Encoders of text.
    "BERT": Architecture("BertForSequenceClassification", "BertConfig", TEXT, masked_words),
    "RoBERTa": Architecture("RobertaForSequenceClassification", "RobertaConfig", TEXT, masked_words),
    "CamemBERT": Architecture("CamembertForSequenceClassification", "CamembertConfig", TEXT, masked_words),
    "XLM-RoBERTa": Architecture("XLMRobertaForSequenceClassification", "XLMRobertaConfig", TEXT, masked_words),
    "DistilBERT": Architecture(
        "DistilBertForSequenceClassification",
        "DistilBertConfig",
        {"vocab_size": WORDS, "max_position_embeddings": 40, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64},
        masked_words,
    ),
    "ALBERT": Architecture("AlbertForSequenceClassification", "AlbertConfig", {**TEXT, "embedding_size": 16}, masked_words),
    "ELECTRA": Architecture("ElectraForSequenceClassification", "ElectraConfig", {**TEXT, "embedding_size": 16}, masked_words),
    "DeBERTa": Architecture(
        "DebertaForSequenceClassification", "DebertaConfig", {**TEXT, "relative_attention": True}, masked_words
    ),
    "DeBERTa V2": Architecture(
        "DebertaV2ForSequenceClassification", "DebertaV2Config", {**TEXT, "relative_attention": True}, masked_words
    ),
    "MPNet": Architecture("MPNetForSequenceClassification", "MPNetConfig", TEXT, masked_words),
    "ConvBERT": Architecture(
        "ConvBertForSequenceClassification", "ConvBertConfig", {**TEXT, "embedding_size": 32}, masked_words
    ),
    "SqueezeBERT": Architecture(
        "SqueezeBertForSequenceClassification", "SqueezeBertConfig", {**TEXT, "embedding_size": 32}, masked_words
    ),
    "MobileBERT": Architecture(
        "MobileBertForSequenceClassification",
        "MobileBertConfig",
        {**TEXT, "embedding_size": 16, "intra_bottleneck_size": 16, "true_hidden_size": 16},
        masked_words,
    ),
    "Data2Vec text": Architecture("Data2VecTextForSequenceClassification", "Data2VecTextConfig", TEXT, masked_words),
    "FNet": Architecture("FNetForSequenceClassification", "FNetConfig", TEXT, words),
    "ModernBERT": Architecture("ModernBertModel", "ModernBertConfig", {**TEXT, "pad_token_id": 0}, words),
    "RoFormer": Architecture("RoFormerForSequenceClassification", "RoFormerConfig", TEXT, masked_words),
    "Funnel": Architecture(
        "FunnelForSequenceClassification",
        "FunnelConfig",
        {
            "vocab_size": WORDS,
            "block_sizes": [1, 1],
            "num_decoder_layers": 1,
            "d_model": 32,
            "n_head": 4,
            "d_head": 8,
            "d_inner": 64,
        },
        words,
    ),
    "XLNet": Architecture(
        "XLNetModel",
        "XLNetConfig",
        {"vocab_size": WORDS, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64, "use_mems_eval": False},
        words,
    ),
    "CLIP text": Architecture("CLIPTextModel", "CLIPTextConfig", {**TEXT, "eos_token_id": WORDS - 1}, words),
    "LayoutLM": Architecture("LayoutLMForSequenceClassification", "LayoutLMConfig", TEXT, words),
    "T5 encoder": Architecture(
        "T5EncoderModel",
        "T5Config",
        {"vocab_size": WORDS, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4},
        masked_words,
    ),
    "ESM": Architecture("EsmModel", "EsmConfig", {**TEXT, "pad_token_id": 1, "position_embedding_type": "rotary"}, words),
    # Decoders of text.
    "GPT-2": Architecture(
        "GPT2LMHeadModel",
        "GPT2Config",
        {"vocab_size": WORDS, "n_positions": 40, "n_embd": 32, "n_layer": 2, "n_head": 4, "use_cache": False},
        words,
    ),
    "GPT": Architecture(
        "OpenAIGPTLMHeadModel",
        "OpenAIGPTConfig",
        {"vocab_size": WORDS, "n_positions": 40, "n_embd": 32, "n_layer": 2, "n_head": 4},
        words,
    ),
    "GPT-Neo": Architecture(
        "GPTNeoForCausalLM",
        "GPTNeoConfig",
        {
            "vocab_size": WORDS,
            "max_position_embeddings": 40,
            "hidden_size": 32,
            "num_layers": 2,
            "num_heads": 4,
            "attention_types": [[["global", "local"], 1]],
            "window_size": 4,
            "use_cache": False,
        },
        words,
    ),
    "GPT-NeoX": Architecture("GPTNeoXForCausalLM", "GPTNeoXConfig", DECODER, words),
    "GPT-J": Architecture(
        "GPTJForCausalLM",
        "GPTJConfig",
        {"vocab_size": WORDS, "n_positions": 40, "n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4, "use_cache": False},
        words,
    ),
    "CodeGen": Architecture(
        "CodeGenForCausalLM",
        "CodeGenConfig",
        {
            "vocab_size": WORDS,
            "n_positions": 40,
            "n_ctx": 40,
            "n_embd": 32,
            "n_layer": 2,
            "n_head": 4,
            "rotary_dim": 4,
            "use_cache": False,
        },
        words,
    ),
    "OPT": Architecture("OPTForCausalLM", "OPTConfig", {**DECODER, "ffn_dim": 64, "word_embed_proj_dim": 32}, words),
    "BLOOM": Architecture(
        "BloomForCausalLM",
        "BloomConfig",
        {"vocab_size": WORDS, "hidden_size": 32, "n_layer": 2, "n_head": 4, "use_cache": False},
        words,
    ),
    "Llama": Architecture("LlamaForCausalLM", "LlamaConfig", GROUPED, words),
    "Mistral": Architecture("MistralForCausalLM", "MistralConfig", {**GROUPED, "sliding_window": 4}, words),
    "Qwen2": Architecture("Qwen2ForCausalLM", "Qwen2Config", GROUPED, words),
    "Qwen3": Architecture("Qwen3ForCausalLM", "Qwen3Config", {**GROUPED, "head_dim": 8}, words),
    "Gemma": Architecture("GemmaForCausalLM", "GemmaConfig", {**GROUPED, "head_dim": 8}, words),
    "Gemma 2": Architecture("Gemma2ForCausalLM", "Gemma2Config", {**GROUPED, "head_dim": 8, "sliding_window": 4}, words),
    "Phi": Architecture("PhiForCausalLM", "PhiConfig", DECODER, words),
    "Phi-3": Architecture("Phi3ForCausalLM", "Phi3Config", {**GROUPED, "pad_token_id": 0}, words),
    "StableLM": Architecture("StableLmForCausalLM", "StableLmConfig", GROUPED, words),
    "OLMo": Architecture("OlmoForCausalLM", "OlmoConfig", GROUPED, words),
    "Falcon": Architecture(
        "FalconForCausalLM",
        "FalconConfig",
        {"vocab_size": WORDS, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "use_cache": False},
        words,
    ),
    "Cohere": Architecture("CohereForCausalLM", "CohereConfig", GROUPED, words),
    "Granite": Architecture("GraniteForCausalLM", "GraniteConfig", GROUPED, words),
    # Sound.
    "Wav2Vec2 features": Architecture("Wav2Vec2Model", "Wav2Vec2Config", SPEECH, sound(800), part="feature_extractor"),
    "Wav2Vec2": Architecture("Wav2Vec2Model", "Wav2Vec2Config", {**SPEECH, "apply_spec_augment": False}, sound(800)),
    "HuBERT": Architecture("HubertModel", "HubertConfig", {**SPEECH, "apply_spec_augment": False}, sound(800)),
    "Whisper encoder": Architecture(
        "WhisperModel",
        "WhisperConfig",
        {
            "vocab_size": WORDS,
            "num_mel_bins": 8,
            "d_model": 32,
            "encoder_layers": 2,
            "decoder_layers": 1,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 4,
            "encoder_ffn_dim": 64,
            "decoder_ffn_dim": 64,
            "max_source_positions": 20,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "decoder_start_token_id": 1,
        },
        spectra(8, 40),
        part="encoder",
    ),
    "AST": Architecture(
        "ASTForAudioClassification",
        "ASTConfig",
        {**TINY, "num_mel_bins": 16, "max_length": 24, "patch_size": 8, "frequency_stride": 8, "time_stride": 8},
        spectra(24, 16),
    ),
}
