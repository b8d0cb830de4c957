"""Asking a language model to annotate or judge: endpoints and local models, cached, counted and bounded."""
