"""What a model learned: filters, influence, attribution, patterns, enrichment, marginal effects."""
