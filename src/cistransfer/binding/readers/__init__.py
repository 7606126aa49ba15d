"""Peak and TFBS files as people have them, collected per TF and cell."""
