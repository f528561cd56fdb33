"""Evictions: policy/v1."""

STRUCTS = """
Eviction
  apiVersion:string deleteOptions:DeleteOptions#2 kind:string metadata:ObjectMeta#1
"""
