"""What a network has to beat: prevalence, GC content, motifs, k-mers; one interface for all."""
