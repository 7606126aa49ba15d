"""The release of Novakovsky et al. 2021: read into a matrix, written out of one."""
