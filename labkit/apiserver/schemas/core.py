"""Namespaces, nodes, services, endpoints, events: core/v1 without pods."""

STRUCTS = """
Namespace
  apiVersion:string kind:string metadata:ObjectMeta spec:NamespaceSpec status:NamespaceStatus
NamespaceSpec
  finalizers:[]string
NamespaceStatus
  conditions:[]NamespaceCondition@type phase:string
NamespaceCondition
  lastTransitionTime:time message:string reason:string status!:string type!:string
Node
  apiVersion:string kind:string metadata:ObjectMeta spec:NodeSpec status:NodeStatus
NodeSpec
  configSource:NodeConfigSource externalID:string podCIDR:string podCIDRs:[]string@
  providerID:string taints:[]Taint unschedulable:bool
NodeConfigSource
  configMap:ConfigMapNodeConfigSource
ConfigMapNodeConfigSource
  kubeletConfigKey!:string name!:string namespace!:string resourceVersion:string uid:string
Taint
  effect!:string key!:string timeAdded:time value:string
NodeStatus
  addresses:[]NodeAddress@type allocatable:{}quantity capacity:{}quantity
  conditions:[]NodeCondition@type config:NodeConfigStatus daemonEndpoints:NodeDaemonEndpoints
  features:NodeFeatures images:[]ContainerImage nodeInfo:NodeSystemInfo phase:string
  runtimeHandlers:[]NodeRuntimeHandler volumesAttached:[]AttachedVolume volumesInUse:[]string
NodeAddress
  address!:string type!:string
NodeCondition
  lastHeartbeatTime:time lastTransitionTime:time message:string reason:string status!:string
  type!:string
NodeConfigStatus
  active:NodeConfigSource assigned:NodeConfigSource error:string lastKnownGood:NodeConfigSource
NodeDaemonEndpoints
  kubeletEndpoint:DaemonEndpoint
DaemonEndpoint
  Port!:int32
NodeFeatures
  supplementalGroupsPolicy:bool
ContainerImage
  names:[]string sizeBytes:int64
NodeSystemInfo
  architecture!:string bootID!:string containerRuntimeVersion!:string kernelVersion!:string
  kubeProxyVersion!:string kubeletVersion!:string machineID!:string operatingSystem!:string
  osImage!:string systemUUID!:string
NodeRuntimeHandler
  features:NodeRuntimeHandlerFeatures name:string
NodeRuntimeHandlerFeatures
  recursiveReadOnlyMounts:bool userNamespaces:bool
AttachedVolume
  devicePath!:string name!:string
Service
  apiVersion:string kind:string metadata:ObjectMeta spec:ServiceSpec status:ServiceStatus
ServiceSpec
  allocateLoadBalancerNodePorts:bool clusterIP:string clusterIPs:[]string externalIPs:[]string
  externalName:string externalTrafficPolicy:string healthCheckNodePort:int32
  internalTrafficPolicy:string ipFamilies:[]string ipFamilyPolicy:string
  loadBalancerClass:string loadBalancerIP:string loadBalancerSourceRanges:[]string
  ports:[]ServicePort@port publishNotReadyAddresses:bool selector:{}string
  sessionAffinity:string sessionAffinityConfig:SessionAffinityConfig trafficDistribution:string
  type:string
ServicePort
  appProtocol:string name:string nodePort:int32 port!:int32 protocol:string targetPort:intstr
SessionAffinityConfig
  clientIP:ClientIPConfig
ClientIPConfig
  timeoutSeconds:int32
ServiceStatus
  conditions:[]Condition@type loadBalancer:LoadBalancerStatus
LoadBalancerStatus
  ingress:[]LoadBalancerIngress
LoadBalancerIngress
  hostname:string ip:string ipMode:string ports:[]PortStatus
PortStatus
  error:string port!:int32 protocol!:string
Endpoints
  apiVersion:string kind:string metadata:ObjectMeta subsets:[]EndpointSubset
EndpointSubset
  addresses:[]EndpointAddress notReadyAddresses:[]EndpointAddress ports:[]EndpointPort
EndpointAddress
  hostname:string ip!:string nodeName:string targetRef:ObjectReference
ObjectReference
  apiVersion:string fieldPath:string kind:string name:string namespace:string
  resourceVersion:string uid:string
EndpointPort
  appProtocol:string name:string port!:int32 protocol:string
Event
  action:string apiVersion:string count:int32 eventTime:microtime firstTimestamp:time
  involvedObject!:ObjectReference kind:string lastTimestamp:time message:string
  metadata!:ObjectMeta reason:string related:ObjectReference reportingComponent:string
  reportingInstance:string series:EventSeries source:EventSource type:string
EventSeries
  count:int32 lastObservedTime:microtime
EventSource
  component:string host:string
Binding
  apiVersion:string kind:string metadata:ObjectMeta target!:ObjectReference
"""
