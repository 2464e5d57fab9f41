import inputs from '../proton-inputs.json';
import { Service } from '../lib/service';

new Service(inputs.service_instance.name);
