"""Speed and memory: pure arithmetic from a request and a calibration to an estimate."""
