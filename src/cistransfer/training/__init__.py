"""The one training loop, strategies as data, pre-training and fine-tuning."""
