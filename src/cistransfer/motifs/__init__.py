"""PWMs: MEME and JASPAR files, scanning, comparing (Tomtom) and logos."""
