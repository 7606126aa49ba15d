"""Who binds where: peaks and TFBS in open regions as a three-state matrix, and its facts."""
