"""The HTTP/1.1 connections: uvicorn's protocol, with a limit on everything that a client can send or hold."""
