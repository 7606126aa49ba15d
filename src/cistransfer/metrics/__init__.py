"""Labels and scores in, numbers out: ranking, calls, calibration, intervals."""
