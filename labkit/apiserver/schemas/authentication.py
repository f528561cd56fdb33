"""Who am I? authentication.k8s.io/v1."""

STRUCTS = """
SelfSubjectReview
  apiVersion:string kind:string metadata:ObjectMeta#1 status:SelfSubjectReviewStatus#2
SelfSubjectReviewStatus
  userInfo:UserInfo#1
UserInfo
  extra:{}any#4 groups:[]string#3 uid:string#2 username:string#1
"""
