"""The meeting point with lm-eval: packs become documents, documents become requests, responses become records."""
