"""The paper's tables on any pack and set of records, beside the published numbers where those are known."""
