"""FASTA, BED, windows and codes: files in, region tables and ``uint8`` codes out."""
