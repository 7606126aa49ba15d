"""What a matrix says: counts, common regions, co-binding, figures."""
